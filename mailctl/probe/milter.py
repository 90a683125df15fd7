"""A milter dialogue: asks a signer what smtpd would ask it, so that nothing has to be sent.

Version 6 of a protocol without a standard: that of libmilter, as Postfix's src/milter speaks it.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

CONTINUE, ACCEPT, TEMPFAIL = b"c", b"a", b"t"
ADD_HEADER, INSERT_HEADER = b"h", b"i"
MOST_BYTES = 2**20  # of one answer
QUEUE_ID = "PROBE"  # what the signer logs in the place of a queue id
TIMEOUT = 10.0  # seconds for one answer
ALL_ACTIONS = 0x1FF
Header = tuple[str, str]


class MilterError(Exception):
    """The milter hung up, or what it says is no answer."""


class MilterClient:
    """One connection to a milter at a unix socket."""

    def __init__(self, path: Path, timeout: float = TIMEOUT) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
            self._send(b"O", struct.pack("!III", 6, ALL_ACTIONS, 0))
            self._receive()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def filter(
        self, message: bytes, client: str = "192.0.2.1", macros: Mapping[str, str] | None = None
    ) -> tuple[bytes, list[Header]]:
        """The verdict on `message` from a client at address `client`, and the headers the milter adds, in order.

        Raises:
            OSError, MilterError: it does not answer, or not in the protocol's words.
        """
        given = {"{daemon_name}": "smtpd", "j": "mx1.example.org", **(macros or {})}
        for command, data in _steps(message, client):
            # Right before their step: libmilter forgets those of a later one when an earlier one comes.
            if command == b"C":
                self._macros(command, given)
            elif command == b"M":
                self._macros(command, {"i": QUEUE_ID, **given})
            self._send(command, data)
            verdict, _ = self._receive()
            if verdict != CONTINUE:
                return verdict, []
        return self._end_of_message()

    def _end_of_message(self) -> tuple[bytes, list[Header]]:
        headers: list[Header] = []
        self._send(b"E", b"")
        while True:
            kind, data = self._receive()
            if kind not in (ADD_HEADER, INSERT_HEADER):
                return kind, headers
            name, _, value = (data[4:] if kind == INSERT_HEADER else data).rstrip(b"\0").partition(b"\0")
            headers.append((name.decode(), value.decode()))

    def _macros(self, step: bytes, values: Mapping[str, str]) -> None:
        pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in values.items())
        self._send(b"D", step + pairs)

    def _send(self, command: bytes, data: bytes) -> None:
        self._socket.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def _receive(self) -> tuple[bytes, bytes]:
        (length,) = struct.unpack("!I", self._read(4))
        if not 0 < length < MOST_BYTES:
            raise MilterError(f"no answer of a milter: a length of {length}")
        packet = self._read(length)
        return packet[:1], packet[1:]

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                raise MilterError("the milter hung up")
            data += part
        return data


def _steps(message: bytes, client: str) -> Iterator[tuple[bytes, bytes]]:
    head, _, body = message.partition(b"\r\n\r\n")
    family = b"6" if ":" in client else b"4"
    yield b"C", b"client.example\0" + family + struct.pack("!H", 25000) + client.encode() + b"\0"
    yield b"H", b"client.example\0"
    yield b"M", b"<sender@example.org>\0"
    yield b"R", b"<rcpt@example.com>\0"
    for line in re.split(rb"\r\n(?![ \t])", head):
        # Folded lines keep their fold, with a line feed, as smtpd hands them on.
        name, _, value = line.replace(b"\r\n", b"\n").partition(b": ")
        yield b"L", name + b"\0" + value + b"\0"
    yield b"N", b""
    if body:
        yield b"B", body
