"""How far a log file has been read, and where the rest is after it was rotated, truncated or replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mailctl.maillog.compressed import LogError, is_compressed, open_log
from mailctl.maillog.source import BLOCK

HEAD = 1024
"""Bytes at the beginning of a file that tell it from others: they begin with a stamp."""


@dataclass(frozen=True, slots=True)
class Position:
    """Up to `offset` bytes, a line's end, of the file whose first `head_size` bytes have the digest `head`."""

    offset: int = 0
    head_size: int = 0
    head: str = ""

    def is_in(self, path: Path) -> bool:
        """Whether a file is the one that was read, grown since then or packed, whatever its name is now."""
        try:
            with open_log(path) as file:
                if _digest(file.read(self.head_size)) != self.head:
                    return False
                file.seek(self.offset)
                return file.tell() == self.offset and (is_compressed(path) or path.stat().st_size >= self.offset)
        except LogError:
            return False


class Reader:
    """Reads on in one log from `position`; afterwards `position` is where the next reader begins.

    Lines that were written to the file before it was rotated come first. A last line without newline is left for
    the next time, except in a file that nobody writes any more.
    """

    def __init__(self, path: Path, position: Position) -> None:
        self.path = path
        self.position = position

    def blocks(self) -> Iterator[bytes]:
        """What is new, as blocks of whole lines.

        Raises:
            LogError: a file cannot be read.
        """
        offset = self.position.offset
        if offset and not self.position.is_in(self.path):
            for path in self._rotated():
                yield from self._rest(path, offset, is_done=True)
                offset = 0
            offset = 0
        yield from self._rest(self.path, offset, is_done=False)

    def _rotated(self) -> list[Path]:
        """Where the rest is: the rotated file that was being read, and those that are newer; none when it is gone."""
        found: list[Path] = []
        siblings = [path for path in self.path.parent.glob(f"{self.path.name}[.-]*") if path.is_file()]
        for path in sorted(siblings, key=lambda path: path.stat().st_mtime_ns, reverse=True):
            found.append(path)
            if self.position.is_in(path):
                return found[::-1]
        return []

    def _rest(self, path: Path, offset: int, is_done: bool) -> Iterator[bytes]:
        with open_log(path) as file:
            head = file.read(HEAD)
            file.seek(offset)
            for block, size in _whole_lines(file, is_done):
                offset += size
                yield block
        # An empty file cannot be told from others: then the one before it still says where to go on.
        if offset:
            known = head[:offset]
            self.position = Position(offset, len(known), _digest(known))


def _whole_lines(file: BinaryIO, is_done: bool) -> Iterator[tuple[bytes, int]]:
    held = b""
    while block := file.read(BLOCK):
        held += block
        end = held.rfind(b"\n") + 1
        if end:
            yield held[:end], end
            held = held[end:]
    if held and is_done:
        yield held + b"\n", len(held)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
