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
from functools import partial
from pathlib import Path

from mailctl.sandbox import Sandbox

Talk = Callable[[socket.socket], None]
WRAPPED = (465, 993)
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


def drip(connection: socket.socket) -> None:
    """A greeting that never ends, a byte at a time: no wait for a single one is long."""
    while True:
        connection.sendall(b"220-")
        time.sleep(0.1)


def obey_everybody(certificate: Path, connection: socket.socket) -> None:
    """Does as it is told, and under TLS as it was told in clear."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if connection.getsockname()[1] in WRAPPED:
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
        return
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/socket"
        options = ("-unix", place, "-naccept", "1", "-early_data", "-quiet", "-cert", certificate)
        with subprocess.Popen(
            ["openssl", "s_server", *options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0
        ) as server:
            try:
                while not Path(place).exists():
                    time.sleep(0.01)
                assert server.stdin is not None
                server.stdin.write(GREETING)
                with socket.socket(socket.AF_UNIX) as behind:
                    behind.connect(place)
                    _splice(connection, behind)
            finally:
                server.kill()


def _splice(one: socket.socket, other: socket.socket) -> None:
    """Hand on what either says until one of them has ended."""
    ends = {one: other, other: one}
    while True:
        for ready in select.select(list(ends), [], [])[0]:
            data = ready.recv(4096)
            if not data:
                return
            ends[ready].sendall(data)


# Checks by name, and servers that they must find.
FAULTS: dict[str, Callable[[Path, socket.socket], None]] = {
    "relay.full-width": obey_everybody,
    "enumeration.expn": obey_everybody,
    "tls.injection": obey_everybody,
    "tls.compression": compress,
    "tls.early-data": offer_early_data,
}
