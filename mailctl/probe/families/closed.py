"""Family closed: with a service down mail waits; none is lost, and none leaves unsigned or unauthenticated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import PurePath, PurePosixPath

from mailctl.components import dovecot, opendkim
from mailctl.components.base import Action, Component, ReloadKind
from mailctl.components.service import running_pid, wait_until_stopped
from mailctl.host import Completed, LocalHost
from mailctl.probe.arena import Arena, ServerSide, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import DialogueError, Transcript
from mailctl.probe.flow import Letter, arrivals, hand_over, letter, require_inside, send_envelope, sink_address
from mailctl.spec.derive import hosts_mail, signs

PERMANENT = 500  # reply codes from here on, RFC 5321 section 4.2.1
TRIED_ONCE = 0.5  # seconds
MILTER_REMEDY = "smtpd_milters with default_action=tempfail, never accept"
AUTH_REMEDY = "permit_sasl_authenticated, reject on ports 587 and 465"
LMTP_REMEDY = "virtual_transport = lmtp:unix:private/dovecot-lmtp; a message that cannot be stored stays in the queue"


def checks() -> tuple[Check, ...]:
    found = (
        Check("closed.signer", "without the signer mail waits, nothing leaves unsigned", MILTER_REMEDY, _signer),
        Check("closed.auth", "without Dovecot nobody is authenticated", AUTH_REMEDY, _auth),
        Check("closed.mailboxes", "without Dovecot mail for a mailbox waits, none is lost", LMTP_REMEDY, _mailboxes),
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
def _stopped(arena: Arena, component: Component, signal: str = "TERM") -> Iterator[None]:
    """The service is down in this block, ended by `signal`, and up again after it."""
    if arena.server is None:
        raise CannotTellError("only a lab may stop services")
    host, daemon = _Inside(arena.server), component.daemon(arena.target)
    pid = running_pid(host, daemon) if daemon else None
    if daemon is None or pid is None:
        raise CannotTellError(f"{component.NAME} does not run")
    host.run(["kill", f"-{signal}", str(pid)])
    wait_until_stopped(host, daemon)
    try:
        yield
    finally:
        component.perform(host, arena.target, Action(daemon.name, ReloadKind.RESTART))


def _signer(arena: Arena) -> Iterator[Attempt]:
    spec, _ = require_inside(arena)
    if not signs(spec) or not arena.subject.login:
        raise CannotTellError("nothing is signed here, or no login is known")
    yield Attempt("465", partial(_without_signer, arena))


def _without_signer(arena: Arena, transcript: Transcript) -> None:
    login = arena.subject.login
    with _stopped(arena, opendkim, "KILL"):  # asked to, it would first wait for smtpd to hang up
        _expect_later(arena, transcript, letter(login, sink_address()), login=login)
    _require_back(arena, login)


def _auth(arena: Arena) -> Iterator[Attempt]:
    require_inside(arena)
    if not arena.subject.login:
        raise CannotTellError("no login is known")
    yield Attempt("465", partial(_without_auth, arena))


def _without_auth(arena: Arena, transcript: Transcript) -> None:
    with _stopped(arena, dovecot):
        _expect_later(arena, transcript, letter(arena.subject.login, sink_address()), login=arena.subject.login)
        _expect_refusal(arena, transcript, arena.subject.names["victim"])
    _require_back(arena, arena.subject.login)


def _mailboxes(arena: Arena) -> Iterator[Attempt]:
    spec, files = require_inside(arena)
    mailbox = arena.subject.names.get("mailbox")
    if not hosts_mail(spec) or mailbox is None:
        raise CannotTellError("this server stores no mail")
    yield Attempt("25 without Dovecot", partial(_without_dovecot, arena, mailbox))
    yield Attempt("25 without LMTP", partial(_without_lmtp, arena, files, mailbox))


def _without_dovecot(arena: Arena, mailbox: str, transcript: Transcript) -> None:
    message = letter("", mailbox)
    with _stopped(arena, dovecot):
        reply = hand_over(arena, transcript, message)
    if reply.code >= PERMANENT:
        raise RefutedError(f"the message was refused for good: {str(reply)!r}")
    if reply.is_success:
        _expect_arrival(arena, message)


def _without_lmtp(arena: Arena, files: LocalHost, mailbox: str, transcript: Transcript) -> None:
    message = letter("", mailbox)
    socket = files.path(arena.target.lmtp_socket)
    aside = socket.rename(socket.with_name("lmtp-away"))
    try:
        reply = hand_over(arena, transcript, message)
        if not reply.is_success:
            raise RefutedError(f"the message was answered {str(reply)!r}")
        arena.wait_until(lambda: bool(arrivals(arena, message.token)), timeout=TRIED_ONCE)
    finally:
        aside.rename(socket)
    _expect_arrival(arena, message)


def _expect_refusal(arena: Arena, transcript: Transcript, recipient: str) -> None:
    """Return where port 465 takes no recipient from somebody who did not log in."""
    with suppress(DialogueError), arena.connect(transcript, Transport.SUBMISSIONS) as dialogue:
        arena.greet(dialogue, Transport.SUBMISSIONS)
        if send_envelope(dialogue, letter("", recipient)) is None:
            raise RefutedError("a message was taken from somebody who did not log in")


def _expect_later(arena: Arena, transcript: Transcript, message: Letter, *, login: str) -> None:
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
