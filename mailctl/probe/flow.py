"""Whole messages: handing one over, and finding it again where it arrived."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import PurePosixPath

from mailctl.host import LocalHost
from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import CannotTellError
from mailctl.probe.dialogue import Dialogue, Reply, Transcript
from mailctl.probe.mailroom import Arrival
from mailctl.spec.choices import Role
from mailctl.spec.model import Spec

SINK_DOMAIN = "sink.example"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of one probe, known again by its token; `header_from` is what its From line says."""

    sender: str
    recipient: str
    header_from: str
    token: str

    @property
    def content(self) -> bytes:
        """The message with CRLF line ends, without the end of data."""
        head = (
            f"From: <{self.header_from}>\r\nTo: <{self.recipient}>\r\nSubject: mailctl probe {self.token}\r\n"
            f"Date: {formatdate()}\r\nMessage-ID: <{self.token}@client.example>\r\n\r\nA probe of mailctl.\r\n"
        )
        return head.encode()


def letter(sender: str, recipient: str, header_from: str = "") -> Letter:
    """A new message; its From line is the sender where nothing else is said."""
    return Letter(sender, recipient, header_from or sender or "probe@client.example", f"probe-{secrets.token_hex(8)}")


def sink_address() -> str:
    """An address of the outside world that nobody had before."""
    return f"{secrets.token_hex(6)}@{SINK_DOMAIN}"


def hand_over(arena: Arena, transcript: Transcript, message: Letter, *, login: str = "") -> Reply:
    """Send one message, with a login through port 465, else through port 25; the reply that ended it.

    Raises:
        DialogueError: the server hung up, or refused the login.
    """
    transport = Transport.SUBMISSIONS if login else Transport.SMTP
    with arena.connect(transcript, transport) as dialogue:
        arena.greet(dialogue, transport)
        if login:
            arena.log_in(dialogue, login)
        return send_envelope(dialogue, message) or send_content(dialogue, message.content + b".\r\n")


def send_envelope(dialogue: Dialogue, message: Letter) -> Reply | None:
    """Everything up to the 354 of DATA; the reply that ended it where one did."""
    for line, code in ((f"MAIL FROM:<{message.sender}>", 250), (f"RCPT TO:<{message.recipient}>", 250), ("DATA", 354)):
        reply = dialogue.command(line)
        if reply.code != code:
            return reply
    return None


def send_content(dialogue: Dialogue, *segments: bytes) -> Reply:
    """The message itself, ended by its last segment; the reply to it."""
    for segment in segments:
        dialogue.send(segment, shown_as=f"({len(segment)} bytes of message)" if len(segment) > 60 else "")
    return dialogue.reply()


def require_inside(arena: Arena) -> tuple[Spec, LocalHost]:
    """The spec, and the server's files.

    Raises:
        CannotTellError: this is no probe of a sandbox, and messages cannot be followed.
    """
    if arena.spec is None or arena.server is None or arena.mailroom is None:
        raise CannotTellError("made in a lab only")
    return arena.spec, LocalHost(arena.server.path(PurePosixPath("/")))


def require_mailbox(arena: Arena) -> str:
    """A mailbox strangers can write to; that of a backup MX is at its primary.

    Raises:
        CannotTellError: this server takes no mail, or nobody sees what becomes of it.
    """
    spec, _ = require_inside(arena)
    mailbox = arena.subject.names.get("mailbox", "")
    if spec.server.role not in (Role.FULL, Role.BACKUP_MX) or not mailbox:
        raise CannotTellError("this server takes no mail")
    return mailbox


def arrivals(arena: Arena, token: str) -> Counter[str]:
    """How many copies of the message each mailbox and each outside recipient has."""
    return Counter(recipient for copy in _copies(arena, token) for recipient in copy.recipients)


def stored_copies(arena: Arena, token: str) -> list[bytes]:
    """The message as mailboxes hold it."""
    return [copy.content for copy in _copies(arena, token) if copy.is_stored]


def sent_copies(arena: Arena, token: str) -> list[bytes]:
    """The message as the outside world got it."""
    return [copy.content for copy in _copies(arena, token) if not copy.is_stored]


def _copies(arena: Arena, token: str) -> list[Arrival]:
    return arena.mailroom.copies(token) if arena.mailroom else []
