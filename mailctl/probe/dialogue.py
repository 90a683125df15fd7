"""One SMTP dialogue over a socket: what was said, kept word by word; the only home of SMTP sockets."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mailctl.errors import printable

CRLF = b"\r\n"
LARGEST_REPLY, MOST_LINES = 65536, 256  # bytes, and lines
Transcript = list[str]
_REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?", re.DOTALL)


class DialogueError(Exception):
    """The dialogue ended before it was over: no connection, hung up, silent for too long, or no SMTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered, RFC 5321 section 4.2; a line of `text` for each of its lines."""

    code: int
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.code < 300

    @property
    def keywords(self) -> dict[str, str]:
        """Extensions of an EHLO reply by name, with their arguments."""
        pairs = (line.partition(" ") for line in self.text.split("\n")[1:])
        return {name.upper(): arguments for name, _, arguments in pairs}

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and from which of our addresses (any, where empty)."""

    address: str
    port: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: `reply` seconds for one answer, and none of it after `deadline` (time.monotonic)."""

    reply: float
    deadline: float

    def left(self) -> float:
        """Seconds to wait for the next answer.

        Raises:
            DialogueError: there are none left.
        """
        return seconds_until(min(time.monotonic() + self.reply, self.deadline))


def seconds_until(moment: float) -> float:
    """How long it is until then.

    Raises:
        DialogueError: it has passed.
    """
    left = moment - time.monotonic()
    if left <= 0:
        raise DialogueError("no answer in time")
    return left


@dataclass(frozen=True, slots=True)
class Connection:
    """Bytes as they are, until a moment of time.monotonic.

    Both raise OSError where the connection fails, and DialogueError where no time is left.
    """

    _socket: socket.socket
    _until: float

    def send(self, data: bytes) -> None:
        self._socket.settimeout(seconds_until(self._until))
        self._socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        self._socket.settimeout(seconds_until(self._until))
        return self._socket.recv(size)


class Dialogue:
    """A connection, every line of which goes into `transcript`; as a context manager it hangs up at the end."""

    def __init__(self, endpoint: Endpoint, patience: Patience, transcript: Transcript) -> None:
        self.endpoint = endpoint
        self.lines = transcript
        self._patience = patience
        self._unread = b""
        try:
            self._socket = self._connect()
        except OSError as error:
            raise DialogueError(f"no connection to port {endpoint.port}: {_reason(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def connection(self) -> Connection:
        """For one exchange that is made by hand, as long as one answer may take; nothing may be unread."""
        return Connection(self._socket, time.monotonic() + self._patience.left())

    def send(self, data: bytes, shown_as: str = "") -> None:
        """Send `data` as it is, in one segment; the transcript shows `shown_as` in its place where that is given."""
        line = data.removesuffix(CRLF)
        self.lines.append(f"-> {shown_as or printable(_text(line))}")
        self._guard(lambda: self._socket.sendall(data), self._patience.left())

    def command(self, line: str, shown_as: str = "") -> Reply:
        """Send one line and wait for its reply."""
        self.send(line.encode() + CRLF, shown_as)
        return self.reply()

    def reply(self) -> Reply:
        """The next reply, however many lines it has; it is whole in time, or it does not count.

        Raises:
            DialogueError: none came in time, or what came is no reply.
        """
        until = time.monotonic() + self._patience.left()
        texts: list[str] = []
        size, code = 0, b""
        while size < LARGEST_REPLY and len(texts) < MOST_LINES:
            line = self._line(until)
            size += len(line)
            match = _REPLY_LINE.fullmatch(line)
            if match is None:
                raise DialogueError(f"no SMTP reply: {printable(_text(line[:80]))!r}")
            texts.append(_text(match[3] or b""))
            self.lines.append(f"<- {printable(_text(line))}")
            code = code or match[1]
            if match[1] != code:
                raise DialogueError(f"one reply with two codes, {code.decode()} and {match[1].decode()}")
            if match[2] != b"-":
                return Reply(int(match[1]), "\n".join(texts))
        raise DialogueError("a reply without an end")

    def start_tls(self, context: ssl.SSLContext, server_name: str | None = None) -> bytes:
        """TLS from here on; what was received before is forgotten, RFC 3207 section 4.2. The certificate, DER.

        Raises:
            DialogueError: the handshake failed.
        """
        self._socket.settimeout(self._patience.left())
        try:
            secure = context.wrap_socket(self._socket, server_hostname=server_name)
        except OSError as error:
            raise DialogueError(f"no TLS: {_reason(error)}") from error
        self._socket, self._unread = secure, b""
        self.lines.append(f"-- {secure.version()}")
        return secure.getpeercert(binary_form=True) or b""

    def log_in(self, login: str, password: str) -> Reply:
        """AUTH PLAIN, RFC 4616; the transcript does not show the password."""
        secret = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {secret}", shown_as=f"AUTH PLAIN (as {printable(login)})")

    def _connect(self) -> socket.socket:
        source = (self.endpoint.source, 0) if self.endpoint.source else None
        where = (self.endpoint.address, self.endpoint.port)
        return socket.create_connection(where, self._patience.left(), source_address=source)

    def _line(self, until: float) -> bytes:
        while b"\n" not in self._unread:
            if len(self._unread) > LARGEST_REPLY:
                raise DialogueError("a reply without an end")
            self._guard(self._receive, seconds_until(until))
        line, _, self._unread = self._unread.partition(b"\n")
        return line.removesuffix(b"\r")

    def _receive(self) -> None:
        chunk = self._socket.recv(4096)
        if not chunk:
            raise DialogueError("the server hung up")
        self._unread += chunk

    def _guard(self, work: Callable[[], object], timeout: float) -> None:
        self._socket.settimeout(timeout)
        try:
            work()
        except OSError as error:
            raise DialogueError(_reason(error)) from error


def any_certificate() -> ssl.SSLContext:
    """A client's context that looks at no certificate: the checks of family tls do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Weak keys too: what is said of them is for the checks.
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (error.strerror or str(error)).lower()


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
