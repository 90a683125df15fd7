"""Sending mail to the lab's server from outside, and reading a mailbox there."""

from __future__ import annotations

import contextlib
import imaplib
import re
import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from ipaddress import ip_address
from typing import Any

from mailctl.errors import MailctlError, UsageError
from mailctl.lab.places import lab_command
from mailctl.sandbox import Sandbox
from mailctl.sandbox.network import CLIENT_IPV4, CLIENT_IPV6, SERVER_IPV4, SERVER_IPV6

SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465
IMAPS_PORT = 993
TIMEOUT = 30.0  # seconds for one reply

_QUEUE_ID = re.compile(r"queued as (\w+)")


@dataclass(frozen=True, slots=True)
class Submission:
    """One message on its way to the server. `source` is the client's address, any of the world's.

    `tls` asks for STARTTLS on port 25; 587 and 465 are always encrypted.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    port: int = 25
    tls: bool = False
    login: str = ""
    password: str = field(default="", repr=False)
    source: str = CLIENT_IPV4
    helo: str = "outside.client.example"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said, RFC 5321 section 4.2."""

    code: int
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.code < 300

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a dialogue ended: the reply each recipient got, and the queue id of what was accepted."""

    replies: Mapping[str, Reply]
    queue_id: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether the message was taken for every recipient."""
        return bool(self.queue_id) and all(reply.is_success for reply in self.replies.values())

    def __str__(self) -> str:
        lines = [f"{address}: {reply}" for address, reply in self.replies.items()]
        return "\n".join([*lines, f"queue id {self.queue_id}"] if self.queue_id else lines)

    def as_json(self) -> dict[str, Any]:
        recipients = [{"address": address, **asdict(reply)} for address, reply in self.replies.items()]
        return {"accepted": self.is_accepted, "queue_id": self.queue_id, "recipients": recipients}


def compose(sender: str, recipients: Sequence[str], subject: str, body: str) -> bytes:
    """A plain message with the headers RFC 5322 asks for.

    Raises:
        UsageError: a header would hold a line end.
    """
    message = EmailMessage()
    try:
        message["From"] = sender or "MAILER-DAEMON"
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
    except ValueError as error:
        raise UsageError(f"no header of a message: {error}") from error
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="client.example")
    message.set_content(body)
    return message.as_bytes(policy=SMTP)


def send(lab: Sandbox, submission: Submission) -> Outcome:
    """Hand one message to the server over SMTP, from an outside address.

    Raises:
        UsageError: the source is no address of a client, or an address of the envelope is not ASCII.
        MailctlError: no server there, or it hung up.
    """
    _require_client(submission.source)
    try:
        return lab.call_outside(lambda: _send(submission))
    except UnicodeError as error:
        raise UsageError("an address is not ASCII, and the server takes no others") from error
    except (OSError, smtplib.SMTPException) as error:
        reason = getattr(error, "strerror", None) or error
        raise MailctlError(
            f"port {submission.port} of the lab: {reason}",
            hint=f"read {lab_command(lab, 'log')} and {lab_command(lab, 'status')}",
        ) from error


def read_newest(lab: Sandbox, login: str, password: str, folder: str = "INBOX") -> bytes | None:
    """The newest message of a mailbox over IMAPS, marked as nothing; None when the mailbox is empty.

    Raises:
        MailctlError: the login is refused, or no server is there.
    """
    try:
        return lab.call_outside(lambda: _read_newest(login, password, folder))
    except (OSError, imaplib.IMAP4.error) as error:
        raise MailctlError(f"port {IMAPS_PORT} of the lab: {_imap_text(error)}") from error


def _require_client(source: str) -> None:
    hint = f"write one such as {CLIENT_IPV4!r} or {CLIENT_IPV6!r}"
    try:
        address = ip_address(source)
    except ValueError as error:
        raise UsageError(f"{source!r} is no IP address", hint) from error
    is_special = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    if is_special or str(address) in (SERVER_IPV4, SERVER_IPV6):
        raise UsageError(f"no client from outside has the address {source}", hint)


def _send(submission: Submission) -> Outcome:
    with contextlib.closing(_connect(submission)) as client:
        refusal = _prepare(client, submission)
        if refusal:
            return Outcome(dict.fromkeys(submission.recipients, refusal))
        replies = {recipient: _reply(client.rcpt(recipient)) for recipient in submission.recipients}
        if not any(reply.is_success for reply in replies.values()):
            return Outcome(replies)
        final = _reply(client.data(submission.content))
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client.quit()
    if not final.is_success:
        return Outcome({recipient: final if reply.is_success else reply for recipient, reply in replies.items()})
    queue_id = _QUEUE_ID.search(final.text)
    return Outcome(replies, queue_id[1] if queue_id else "")


def _connect(submission: Submission) -> smtplib.SMTP:
    server = SERVER_IPV6 if ":" in submission.source else SERVER_IPV4
    source = (submission.source, 0)
    if submission.port == SUBMISSIONS_PORT:
        return smtplib.SMTP_SSL(
            server,
            submission.port,
            local_hostname=submission.helo,
            timeout=TIMEOUT,
            source_address=source,
            context=_any_certificate(),
        )
    return smtplib.SMTP(server, submission.port, local_hostname=submission.helo, timeout=TIMEOUT, source_address=source)


def _prepare(client: smtplib.SMTP, submission: Submission) -> Reply | None:
    """Everything before the recipients; the reply that ended it, if one did."""
    for step in _steps(client, submission):
        if not step.is_success:
            return step
    return None


def _steps(client: smtplib.SMTP, submission: Submission) -> Iterator[Reply]:
    yield _reply(client.ehlo())
    if submission.port == SUBMISSION_PORT or (submission.tls and submission.port != SUBMISSIONS_PORT):
        yield _reply(client.starttls(context=_any_certificate()))
        yield _reply(client.ehlo())
    if submission.login:
        try:
            yield _reply(client.login(submission.login, submission.password))
        except smtplib.SMTPAuthenticationError as error:
            yield _reply((error.smtp_code, error.smtp_error))
    size = [f"size={len(submission.content)}"] if client.has_extn("size") else []
    yield _reply(client.mail(submission.sender, size))


def _reply(answer: tuple[int, bytes | str]) -> Reply:
    code, text = answer
    return Reply(code, text.decode(errors="replace") if isinstance(text, bytes) else text)


def _any_certificate() -> ssl.SSLContext:
    """The server's certificate is its own, and the wire is ours."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _read_newest(login: str, password: str, folder: str) -> bytes | None:
    with imaplib.IMAP4_SSL(SERVER_IPV4, IMAPS_PORT, ssl_context=_any_certificate(), timeout=TIMEOUT) as client:
        client.login(login, password)
        status, (count, *_) = client.select(f'"{folder}"', readonly=True)
        if status != "OK":
            raise imaplib.IMAP4.error(f"no folder {folder!r}")
        if not count or count == b"0":
            return None
        _, data = client.fetch(count.decode(), "(BODY.PEEK[])")
        content = data[0]
        return content[1] if isinstance(content, tuple) else None


def _imap_text(error: Exception) -> str:
    # imaplib raises the server's words as bytes.
    words = error.args[0] if error.args else error
    return words.decode(errors="replace") if isinstance(words, bytes) else str(error)
