"""Family closed: with a service down mail waits; none is lost, and none leaves unsigned or unauthenticated."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import PurePath, PurePosixPath

from mailctl.components import dovecot, opendkim
from mailctl.components.base import Action, Component, ReloadKind
from mailctl.host import Completed, LocalHost
from mailctl.probe.arena import Arena, ServerSide, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import DialogueError, Reply, Transcript
from mailctl.probe.flow import (
    Letter,
    arrivals,
    hand_over,
    letter,
    require_inside,
    require_mailbox,
    send_envelope,
    sink_address,
)
from mailctl.spec.derive import hosts_mail, signs

PERMANENT = 500  # reply codes from here on, RFC 5321 section 4.2.1
# What the processes of a service are called: not its master alone, for others live on without it, and still log
# people in as long as an smtpd holds on to them.
PROCESSES = {
    opendkim.NAME: ("/usr/sbin/opendkim",),
    dovecot.NAME: ("/usr/sbin/dovecot", "/usr/lib/dovecot/"),
}
UNTRIED = ("incoming", "active")  # queues, qmgr(8)
MILTER_REMEDY = "smtpd_milters with default_action=tempfail, never accept"
DOVECOT_REMEDY = "permit_sasl_authenticated, reject on ports 587 and 465; maximal_queue_lifetime of days"
LMTP_REMEDY = "virtual_transport = lmtp:unix:private/dovecot-lmtp; a message that cannot be stored stays in the queue"


def checks() -> tuple[Check, ...]:
    found = (
        Check("closed.signer", "without the signer mail waits, nothing leaves unsigned", MILTER_REMEDY, _signer),
        Check(
            "closed.dovecot",
            "without Dovecot nobody is authenticated, and mail for a mailbox waits",
            DOVECOT_REMEDY,
            _dovecot,
        ),
        Check("closed.lmtp", "mail that cannot be stored waits, and is stored later", LMTP_REMEDY, _lmtp),
    )
    return tuple(replace(check, is_disruptive=True) for check in found)


class _Inside(LocalHost):
    """The server of a sandbox as a host: its files, and programs that run there."""

    def __init__(self, server: ServerSide) -> None:
        super().__init__(server.path(PurePosixPath("/")))
        self._server = server

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        return self._server.run(argv, stdin=stdin, timeout=timeout)


@contextmanager
def _stopped(arena: Arena, component: Component) -> Iterator[None]:
    """The service is dead in this block, every process of it, and up again after it."""
    if arena.server is None:
        raise CannotTellError("only a lab may stop services")
    server, daemon = arena.server, component.daemon(arena.target)
    pids = _processes(server, component)
    if daemon is None or not pids:
        raise CannotTellError(f"{component.NAME} does not run")
    try:
        server.run(["kill", "-KILL", *pids])
        if not arena.wait_until(lambda: not _processes(server, component)):
            raise CannotTellError(f"{component.NAME} does not stop")
        yield
    finally:
        component.perform(_Inside(server), arena.target, Action(daemon.name, ReloadKind.RESTART))


def _processes(server: ServerSide, component: Component) -> list[str]:
    """Process ids of a service, as the server counts them."""
    found = []
    for link in server.path(PurePosixPath("/proc")).glob("[0-9]*/exe"):
        with suppress(OSError):  # it has just ended
            if str(link.readlink()).startswith(PROCESSES[component.NAME]):
                found.append(link.parent.name)
    return found


def _signer(arena: Arena) -> Iterator[Attempt]:
    spec, _ = require_inside(arena)
    if not signs(spec) or not arena.subject.login:
        raise CannotTellError("nothing is signed here, or no login is known")
    yield Attempt("465", partial(_without_signer, arena))


def _without_signer(arena: Arena, transcript: Transcript) -> None:
    login = arena.subject.login
    with _stopped(arena, opendkim):
        _expect_later(arena, letter(login, sink_address()), login, transcript)
    _require_back(arena, login)


def _dovecot(arena: Arena) -> Iterator[Attempt]:
    require_inside(arena)
    if not arena.subject.login:
        raise CannotTellError("no login is known")
    yield Attempt("25 and 465", partial(_without_dovecot, arena))


def _without_dovecot(arena: Arena, transcript: Transcript) -> None:
    """All at once, for each waits a while for the Dovecot that is not there."""
    spec, _ = require_inside(arena)
    login, mailbox = arena.subject.login, arena.subject.names.get("mailbox", "")
    taken: list[Letter] = []
    talks = [
        partial(_expect_later, arena, letter(login, sink_address()), login),
        partial(_expect_refusal, arena, arena.subject.names["victim"]),
    ]
    if mailbox and hosts_mail(spec):
        talks.append(partial(_expect_no_loss, arena, letter("", mailbox), taken))
    _let_end_a_session(arena, len(talks))
    with _stopped(arena, dovecot):
        _talk_at_once(transcript, talks)
    for message in taken:
        _expect_arrival(arena, message)
    _require_back(arena, login)


def _let_end_a_session(arena: Arena, count: int) -> None:
    """So many processes of port 465 have each served a client, and wait for the next.

    Without Dovecot they die, and where one dies in its first session the port is shut for a minute;
    service_throttle_time in postconf(5).
    """
    with ExitStack() as sessions:
        for _ in range(count):
            dialogue = sessions.enter_context(arena.connect([], Transport.SUBMISSIONS))
            arena.greet(dialogue, Transport.SUBMISSIONS)


def _talk_at_once(transcript: Transcript, talks: Sequence[Callable[[Transcript], None]]) -> None:
    """Several dialogues at the same time; in the transcript they stand one after the other."""
    parts: list[Transcript] = [[] for _ in talks]
    with ThreadPoolExecutor(len(talks)) as pool:
        ended = [pool.submit(talk, part) for talk, part in zip(talks, parts, strict=True)]
    transcript += itertools.chain(*parts)
    for each in ended:
        each.result()


def _lmtp(arena: Arena) -> Iterator[Attempt]:
    spec, files = require_inside(arena)
    mailbox = require_mailbox(arena)
    if not hosts_mail(spec):
        raise CannotTellError("this server stores no mail")
    yield Attempt("25", partial(_without_lmtp, arena, files, mailbox))


def _without_lmtp(arena: Arena, files: LocalHost, mailbox: str, transcript: Transcript) -> None:
    message = letter("", mailbox)
    socket = files.path(arena.target.lmtp_socket)
    aside = socket.rename(socket.with_name("lmtp-away"))
    try:
        reply = hand_over(arena, transcript, message)
        if not reply.is_success:
            raise RefutedError(f"the message was answered {str(reply)!r}")
        arena.wait_until(lambda: _was_tried(arena, files, reply))
    finally:
        aside.rename(socket)
    _expect_arrival(arena, message)


def _was_tried(arena: Arena, files: LocalHost, reply: Reply) -> bool:
    """Whether the message that got this reply has been handed to a delivery agent, and not to its end."""
    queue_id = reply.text.rpartition(" ")[2]
    queues = files.path(arena.target.postfix_queue_dir)
    return not any((queues / name / queue_id).exists() for name in UNTRIED)


def _expect_refusal(arena: Arena, recipient: str, transcript: Transcript) -> None:
    """Return where port 465 takes no recipient from somebody who did not log in."""
    with suppress(DialogueError), arena.connect(transcript, Transport.SUBMISSIONS) as dialogue:
        arena.greet(dialogue, Transport.SUBMISSIONS)
        if send_envelope(dialogue, letter("", recipient)) is None:
            raise RefutedError("a message was taken from somebody who did not log in")


def _expect_no_loss(arena: Arena, message: Letter, taken: list[Letter], transcript: Transcript) -> None:
    """Return where the message is not refused for good; it belongs to `taken` where the server has it now."""
    reply = hand_over(arena, transcript, message)
    if reply.code >= PERMANENT:
        raise RefutedError(f"the message was refused for good: {str(reply)!r}")
    if reply.is_success:
        taken.append(message)


def _expect_later(arena: Arena, message: Letter, login: str, transcript: Transcript) -> None:
    """Return where the message is not taken, and the refusal is not for good."""
    try:
        reply = hand_over(arena, transcript, message, login=login)
    except DialogueError as error:
        transcript.append(f"-- {error}")  # hung up, or no login: the client tries again later
        return
    if reply.is_success:
        raise RefutedError("the message was taken")
    if reply.code >= PERMANENT:
        raise RefutedError(f"the message was refused for good: {str(reply)!r}")


def _expect_arrival(arena: Arena, message: Letter) -> None:
    """Deliver what is queued; the message must be there once."""
    if arena.server:
        arena.server.run(["postqueue", "-f"])
    if not arena.wait_until(lambda: bool(arrivals(arena, message.token))):
        raise RefutedError("the message was taken and never arrived")
    if arrivals(arena, message.token).total() != 1:
        raise RefutedError("the message arrived more than once")


def _require_back(arena: Arena, login: str) -> None:
    """Return once a login's mail is taken again."""

    def is_taken() -> bool:
        try:
            return hand_over(arena, [], letter(login, sink_address()), login=login).is_success
        except DialogueError:
            return False

    if not arena.wait_until(is_taken):
        raise RefutedError("the service did not come back")
