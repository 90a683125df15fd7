"""Speaks the sendmail milter protocol, version 6, as smtpd does: enough to have one message signed."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

CONTINUE, ACCEPT, TEMPFAIL = b"c", b"a", b"t"
ADD_HEADER, INSERT_HEADER = b"h", b"i"


class MilterClient:
    """One connection to a milter at a unix socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._send(b"O", struct.pack("!III", 6, 0x1FF, 0))
        self._receive()

    def __enter__(self) -> MilterClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def filter(
        self, message: bytes, client: str = "192.0.2.1", macros: Mapping[str, str] | None = None
    ) -> tuple[bytes, list[tuple[str, str]]]:
        """The verdict on `message` from a client at address `client`, and the headers the milter adds, in order."""
        self._macros("C", {"{daemon_name}": "smtpd", "j": "mx1.example.org", **(macros or {})})
        self._macros("M", {"i": "4ABCDE", **(macros or {})})
        for command, data in _steps(message, client):
            self._send(command, data)
            verdict, _ = self._receive()
            if verdict != CONTINUE:
                return verdict, []
        return self._end_of_message()

    def _end_of_message(self) -> tuple[bytes, list[tuple[str, str]]]:
        headers: list[tuple[str, str]] = []
        self._send(b"E", b"")
        while True:
            kind, data = self._receive()
            if kind not in (ADD_HEADER, INSERT_HEADER):
                return kind, headers
            name, value, _ = (data[4:] if kind == INSERT_HEADER else data).split(b"\0")
            headers.append((name.decode(), value.decode()))

    def _macros(self, step: str, values: Mapping[str, str]) -> None:
        pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in values.items())
        self._send(b"D", step.encode() + pairs)

    def _send(self, command: bytes, data: bytes) -> None:
        self._socket.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def _receive(self) -> tuple[bytes, bytes]:
        (length,) = struct.unpack("!I", self._read(4))
        packet = self._read(length)
        return packet[:1], packet[1:]

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            assert part, "the milter closed the connection"
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
