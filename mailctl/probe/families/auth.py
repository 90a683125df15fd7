"""Family auth, what takes time: refusals tell nothing about who exists, and guessing is slow."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from mailctl.errors import printable
from mailctl.probe.arena import Arena, Family, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import DialogueError, Reply, Transcript
from mailctl.spec.derive import logins

LONGEST_HASH = 1.0  # seconds
MOST_AUTHS_A_MINUTE = 20
LARGEST_ANSWER = 4096  # bytes
RATE_REMEDY = "smtpd_client_auth_rate_limit = 10"
SAME_REMEDY = "auth_failure_delay = 2 secs in dovecot.conf: it hides how long a hash takes"
PORTS_REMEDY = (
    "run `mailctl apply`: dovecot.conf opens port 993 only, with disable_plaintext_auth = yes and ssl = required; "
    "where the spec has no use for Dovecot, stop it: systemctl disable --now dovecot.service"
)
# What a server answers that wants TLS first, RFC 5530 and RFC 1939.
LOGINS = {
    Transport.IMAP: (b"a LOGIN nobody@nowhere.example wrong\r\n", re.compile(rb"a (?:BAD|NO \[PRIVACYREQUIRED\])")),
    Transport.POP3: (b"USER nobody@nowhere.example\r\n", re.compile(rb"-ERR")),
}
NO_LOGIN = "no-such-login@nowhere.example"


def checks() -> tuple[Check, ...]:
    return (
        Check(
            "auth.same-answer",
            "an unknown login and a wrong password look and take the same",
            SAME_REMEDY,
            _same,
            waits=True,
        ),
        Check("auth.mailbox-ports", "ports 143 and 110 take no password in clear", PORTS_REMEDY, _mailbox_ports, True),
        Check("auth.rate", "a client that guesses passwords is stopped", RATE_REMEDY, _rate, waits=True),
    )


def _transport(arena: Arena) -> Transport:
    for transport in (Transport.SUBMISSIONS, Transport.SUBMISSION_TLS):
        if arena.is_open(transport, arena.families[0]):
            return transport
    raise CannotTellError("nothing listens on port 465 or 587")


def _same(arena: Arena) -> Iterator[Attempt]:
    known = [login.address for login in logins(arena.spec)] if arena.spec else []
    if not known:
        raise CannotTellError("the spec has no login")
    # One whose hash is its own, where there is one: for the others a probe may know a cheaper one.
    login = next((each for each in known if each not in arena.subject.passwords), known[0])
    transport = _transport(arena)
    yield Attempt(transport.value, partial(_compare, arena, transport, login))


def _compare(arena: Arena, transport: Transport, login: str, transcript: Transcript) -> None:
    """The same words, and no sooner than any hash could be looked at.

    The times themselves cannot be compared: Dovecot sends refusals in batches, on a clock of its own.
    """
    with ThreadPoolExecutor(2) as pool:
        ours, nobodys = pool.map(partial(_fail_to_log_in, arena, transport), (login, NO_LOGIN))
    transcript.append(f"-- wrong password: {ours[0]:.2f} s, {ours[1]}")
    transcript.append(f"-- unknown login: {nobodys[0]:.2f} s, {nobodys[1]}")
    if str(ours[1]) != str(nobodys[1]):
        raise RefutedError("the replies differ")
    soonest = min(ours[0], nobodys[0])
    if soonest < LONGEST_HASH:
        raise RefutedError(f"a refusal came after {soonest:.2f} s: its time tells whether a hash was looked at")


def _fail_to_log_in(arena: Arena, transport: Transport, login: str) -> tuple[float, Reply]:
    with arena.connect([], transport, arena.families[0]) as dialogue:
        arena.greet(dialogue, transport)
        started = time.monotonic()
        reply = dialogue.log_in(login, "not the password")
        return time.monotonic() - started, reply


def _mailbox_ports(arena: Arena) -> Iterator[Attempt]:
    for transport in LOGINS:
        for family in arena.families:
            yield Attempt(f"{transport.value} {family.value}", partial(_log_in_in_clear, arena, transport, family))


def _log_in_in_clear(arena: Arena, transport: Transport, family: Family, transcript: Transcript) -> None:
    try:
        dialogue = arena.connect(transcript, transport, family)
    except DialogueError as error:
        transcript.append(f"-- {error}")
        return
    login, refusal = LOGINS[transport]
    with dialogue:
        transcript.append(f"<- {_shown(dialogue.connection.receive(LARGEST_ANSWER))}")
        dialogue.send(login)
        answer = dialogue.connection.receive(LARGEST_ANSWER)
        transcript.append(f"<- {_shown(answer)}")
    if not refusal.match(answer):
        raise RefutedError(f"a password in clear was answered {_shown(answer)!r}")


def _shown(answer: bytes) -> str:
    return printable(answer.decode(errors="backslashreplace").rstrip())


def _rate(arena: Arena) -> Iterator[Attempt]:
    transport = _transport(arena)
    yield Attempt(transport.value, partial(_guess, arena, transport))


def _guess(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    """AUTH that is cancelled counts as well, and costs no hash; several connections, since errors end one."""
    source = arena.vantage.endpoint(transport.port, arena.families[0]).source
    for _ in range(MOST_AUTHS_A_MINUTE // 4):
        with arena.connect(transcript, transport, arena.families[0], source=source) as dialogue:
            arena.greet(dialogue, transport)
            for _ in range(4):
                reply = dialogue.command("AUTH LOGIN")
                if reply.code != 334:
                    if reply.code in (421, 450, 454) and "oo many" in reply.text:
                        return
                    raise RefutedError(f"AUTH was answered {str(reply)!r}")
                dialogue.command("*")
    raise RefutedError(f"{MOST_AUTHS_A_MINUTE} tries within a minute were let through")
