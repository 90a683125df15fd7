"""Family smuggling: nothing but <CR><LF>.<CR><LF> ends a message, RFC 5321 section 4.1.1.4; in and out.

Each dialogue hides a second message behind another end of data. A server that falls for it answers the
commands of the second message; one that does not answers QUIT.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from mailctl.errors import printable
from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Dialogue, Transcript
from mailctl.probe.flow import (
    Letter,
    arrivals,
    letter,
    require_inside,
    require_mailbox,
    send_content,
    send_envelope,
    sent_copies,
    sink_address,
)

REMEDY = (
    "smtpd_forbid_bare_newline = normalize with empty smtpd_forbid_bare_newline_exclusions, "
    "smtpd_forbid_unauth_pipelining = yes, cleanup_replace_stray_cr_lf = yes"
)
ENDS_OF_DATA = (
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\r\n.\r\r\n",
    b"\n\n.\n\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\0\n.\n",
    b"\r\n..\r\n",
)
BETWEEN_SEGMENTS = 0.01  # seconds, so that each is read by itself
LEFT_OVER = 0.3  # seconds within which a second message would follow the first


def checks() -> tuple[Check, ...]:
    return (
        Check("smuggling.inbound", "no other end of data ends a message that comes in", REMEDY, _inbound),
        Check("smuggling.outbound", "no message of a login hides a second one from the next server", REMEDY, _outbound),
    )


def _inbound(arena: Arena) -> Iterator[Attempt]:
    mailbox = require_mailbox(arena)
    yield from _each_end("25", partial(_smuggle_in, arena, mailbox))


def _outbound(arena: Arena) -> Iterator[Attempt]:
    require_inside(arena)
    login = arena.subject.login
    if not login:
        raise CannotTellError("no login is known")
    yield from _each_end("465", partial(_smuggle_out, arena, login))


def _each_end(port: str, attempt: Callable[[bytes, bool, Transcript], None]) -> Iterator[Attempt]:
    """Whole, and split so that each byte comes by itself."""
    for end in ENDS_OF_DATA:
        for is_split in (False, True):
            where = f"{port} {printable(end.decode())}{' split' if is_split else ''}"
            yield Attempt(where, partial(attempt, end, is_split))


def _smuggle_in(arena: Arena, mailbox: str, end: bytes, is_split: bool, transcript: Transcript) -> None:
    message = letter("", mailbox)
    with arena.connect(transcript, Transport.SMTP) as dialogue:
        arena.greet(dialogue, Transport.SMTP)
        if _was_refused(dialogue, message, end, is_split):
            return
    _expect_one(arena, message)


def _smuggle_out(arena: Arena, login: str, end: bytes, is_split: bool, transcript: Transcript) -> None:
    message = letter(login, sink_address())
    with arena.connect(transcript, Transport.SUBMISSIONS) as dialogue:
        arena.greet(dialogue, Transport.SUBMISSIONS)
        arena.log_in(dialogue, login)
        if _was_refused(dialogue, message, end, is_split):
            return
    _expect_one(arena, message)


def _was_refused(dialogue: Dialogue, message: Letter, end: bytes, is_split: bool) -> bool:
    """Send both messages as the content of one, then QUIT; a server may refuse the content as a whole."""
    refusal = send_envelope(dialogue, message)
    if refusal:
        raise RefutedError(f"not proved: the envelope was answered {str(refusal)!r}")
    hidden = Letter(message.sender, message.recipient, message.header_from, message.token)
    commands = f"MAIL FROM:<{message.sender}>\r\nRCPT TO:<{message.recipient}>\r\nDATA\r\n".encode()
    rest = commands + hidden.content + b".\r\n"
    body = message.content.removesuffix(b"\r\n")
    for segment in (body, *(end[i : i + 1] for i in range(len(end) if is_split else 0))):
        dialogue.send(segment, shown_as=f"(message {message.token})" if segment is body else "")
        time.sleep(BETWEEN_SEGMENTS if is_split else 0)
    reply = send_content(dialogue, rest if is_split else end + rest)
    if not reply.is_success:
        return True
    answer = dialogue.command("QUIT")
    if answer.code != 221:
        raise RefutedError(f"{printable(end.decode())} ended the message: what followed was answered {str(answer)!r}")
    return False


def _expect_one(arena: Arena, message: Letter) -> None:
    """One message arrives, and where it goes on to another server, nothing in it ends it there."""
    if not arena.wait_until(lambda: bool(arrivals(arena, message.token))):
        raise RefutedError("not proved: the message did not arrive in time")
    time.sleep(LEFT_OVER)
    count = arrivals(arena, message.token).total()
    if count != 1:
        raise RefutedError(f"{count} messages arrived, not one")
    for content in sent_copies(arena, message.token):
        if stray := content.replace(b"\r\n", b"").translate(None, _all_but(b"\r\n")):
            raise RefutedError(f"the next server got a stray {printable(stray[:1].decode())}")


def _all_but(kept: bytes) -> bytes:
    return bytes(set(range(256)) - set(kept))
