"""Servers that are broken as no configuration breaks Postfix, or that say nothing at all."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mailctl.sandbox import Sandbox

Talk = Callable[[socket.socket], None]
WRAPPED = (465, 993)
SILENCE = 10.0  # seconds; a busy machine is silent for some
LONGEST_START = 30.0  # seconds
STARTTLS = 587, 25
# RFC 5246 section 7.4.1.3: TLS 1.2, a random number, no session, AES128-GCM-SHA256, and compression by DEFLATE.
SERVER_HELLO = struct.pack("!H32sBHB", 0x0303, bytes(32), 0, 0x009C, 1)
GREETING = b"220 broken ESMTP\r\n"
REPLIES = {
    b"EHLO": b"250-broken\r\n250 STARTTLS\r\n",
    b"STARTTLS": b"220 2.0.0 go ahead\r\n",
    b"EXPN": b"250-2.1.5 Ali <ali@example.org>\r\n250 2.1.5 Bob <bob@example.org>\r\n",
}


class FakeServer:
    """Listens on the mail ports of an empty sandbox; each connection is a `talk` of its own."""

    def __init__(self, sandbox: Sandbox, talk: Talk) -> None:
        self._talk = talk
        self._listeners = [
            sandbox.call_inside(partial(socket.create_server, ("", port), backlog=512))
            for port in (*STARTTLS, *WRAPPED)
        ]
        self._taken: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, args=(each,)) for each in self._listeners]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exception: object) -> None:
        for each in [*self._listeners, *self._taken]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in [*self._listeners, *self._taken]:
            each.close()

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._taken.append(connection)
                thread = threading.Thread(target=self._converse, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client is gone, or the test is over
            self._talk(connection)


def say_nothing(connection: socket.socket) -> None:
    """A tarpit."""


def only_greet(connection: socket.socket) -> None:
    connection.sendall(GREETING)


def drip(text: bytes, connection: socket.socket) -> None:
    """Bytes one at a time, time and again: no wait for a single one is long."""
    while True:
        for position in range(len(text)):
            connection.sendall(text[position : position + 1])
            time.sleep(0.1)


def flood(text: bytes, connection: socket.socket) -> None:
    """As many bytes as the client takes, a gigabyte at most."""
    block = text * (2**16 // len(text))
    for _ in range(2**30 // len(block)):
        connection.sendall(block)


def answer(replies: dict[bytes, bytes], connection: socket.socket) -> None:
    """Greets, and answers each command by its verb; where nothing is to be answered it hangs up."""
    connection.sendall(GREETING)
    while data := connection.recv(4096):
        reply = replies.get(data[:4].upper(), replies.get(b""))
        if reply is None:
            connection.shutdown(socket.SHUT_RDWR)
            return
        connection.sendall(reply)


def greet_and(talk: Talk, connection: socket.socket) -> None:
    """Greets, and begins to talk at the first command."""
    connection.sendall(GREETING)
    connection.recv(4096)
    talk(connection)


def obey_everybody(certificate: Path, connection: socket.socket) -> None:
    """Does as it is told, and under TLS as it was told in clear."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if connection.getsockname()[1] in WRAPPED:
        connection.shutdown(socket.SHUT_RDWR)
        return
    connection.sendall(GREETING)
    unread = b""
    with contextlib.ExitStack() as secure:
        while data := connection.recv(4096):
            unread += data
            while b"\r\n" in unread:
                line, _, unread = unread.partition(b"\r\n")
                verb = line.partition(b" ")[0].upper()
                connection.sendall(REPLIES.get(verb, b"250 2.0.0 Ok\r\n"))
                if verb == b"STARTTLS":
                    connection = secure.enter_context(context.wrap_socket(connection, server_side=True))


def compress(certificate: Path, connection: socket.socket) -> None:
    """Agrees to compression in its first message of TLS, and says no more."""
    if connection.getsockname()[1] not in WRAPPED:
        connection.sendall(GREETING)
        for verb in (b"EHLO", b"STARTTLS"):
            connection.recv(1000)
            connection.sendall(REPLIES[verb])
    connection.recv(5000)
    message = b"\x02" + struct.pack("!I", len(SERVER_HELLO))[1:] + SERVER_HELLO
    connection.sendall(struct.pack("!BHH", 22, 0x0303, len(message)) + message)


def offer_early_data(certificate: Path, connection: socket.socket) -> None:
    """On port 465 a proxy whose tickets let a client begin before the handshake, by openssl s_server(1)."""
    if connection.getsockname()[1] != 465:
        connection.sendall(GREETING)
        connection.shutdown(socket.SHUT_RDWR)
        return
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/socket"
        options = ("-unix", place, "-naccept", "1", "-early_data", "-quiet", "-cert", certificate)
        with subprocess.Popen(
            ["openssl", "s_server", *options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0
        ) as server:
            try:
                with _connected(place, server) as behind:
                    assert server.stdin is not None
                    server.stdin.write(GREETING)
                    _splice(connection, behind)
            finally:
                server.kill()


def _connected(place: str, server: subprocess.Popen[bytes]) -> socket.socket:
    """A connection to the socket at `place`, once the server listens there.

    Raises:
        RuntimeError: it has ended, or does not listen in time.
    """
    deadline = time.monotonic() + LONGEST_START
    while server.poll() is None and time.monotonic() < deadline:
        behind = socket.socket(socket.AF_UNIX)
        try:
            behind.connect(place)
        except OSError:  # not made yet, or made and not listening yet
            behind.close()
            time.sleep(0.01)
        else:
            return behind
    raise RuntimeError("openssl s_server does not listen")


def _splice(one: socket.socket, other: socket.socket) -> None:
    """Hand on what either says until one of them has ended, or both are silent."""
    ends = {one: other, other: one}
    while found := select.select(list(ends), [], [], SILENCE)[0]:
        for ready in found:
            data = ready.recv(4096)
            if not data:
                return
            ends[ready].sendall(data)


@dataclass(frozen=True)
class Hostile:
    """A server on every port, and what is said of it: which check fails, and why."""

    talk: Talk
    check: str
    says: str


EHLO = {b"EHLO": b"250 broken\r\n"}
HOSTILE = {
    "says nothing": Hostile(say_nothing, "reach.ports", "no answer in time"),
    "greets and says nothing": Hostile(only_greet, "relay.stranger", "no answer in time"),
    "drips its greeting": Hostile(partial(drip, b"220-"), "reach.ports", "no answer in time"),
    "drips lines of a greeting": Hostile(partial(drip, b"220-a\r\n"), "reach.ports", "no answer in time"),
    "drips its answers": Hostile(partial(greet_and, partial(drip, b"250-")), "relay.stranger", "no answer in time"),
    "floods a line": Hostile(partial(flood, b"220-x"), "reach.ports", "a reply without an end"),
    "floods lines": Hostile(partial(flood, b"220-x\r\n"), "reach.ports", "a reply without an end"),
    "floods answers": Hostile(
        partial(greet_and, partial(flood, b"250-x\r\n")), "relay.stranger", "a reply without an end"
    ),
    "greets with another code": Hostile(lambda each: each.sendall(b"354 go on\r\n"), "reach.ports", "greeted with 354"),
    "hangs up after a command": Hostile(partial(answer, EHLO), "relay.stranger", "the server hung up"),
    "hangs up at once": Hostile(partial(answer, {}), "relay.stranger", "the server hung up"),
    "answers with another code": Hostile(partial(answer, {b"": b"354 go on\r\n"}), "relay.stranger", "got '354 go on'"),
    "answers with two codes": Hostile(
        partial(answer, {b"": b"250-a\r\n550 b\r\n"}), "relay.stranger", "one reply with two codes, 250 and 550"
    ),
    "answers with bytes": Hostile(
        partial(answer, {b"": b"\0\xff\x1b[2J\r\n"}), "relay.stranger", r"no SMTP reply: '\\x00\\xff\\x1b[2J'"
    ),
    "answers with no code": Hostile(partial(answer, {b"": b"ok\r\n"}), "relay.stranger", "no SMTP reply: 'ok'"),
    "answers with a long code": Hostile(
        partial(answer, {b"": b"2500 ok\r\n"}), "relay.stranger", "no SMTP reply: '2500 ok'"
    ),
}

# Checks by name, and servers that they must find.
FAULTS: dict[str, Callable[[Path, socket.socket], None]] = {
    "relay.full-width": obey_everybody,
    "enumeration.expn": obey_everybody,
    "tls.injection": obey_everybody,
    "tls.compression": compress,
    "tls.early-data": offer_early_data,
}
