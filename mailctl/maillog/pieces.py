"""Counting a log with several processes: pieces of whole lines, counted apart, absorbed in their order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailctl.maillog.compressed import LogError, is_compressed
from mailctl.maillog.count import Counting
from mailctl.maillog.source import blocks_of_file

PIECE = 32 << 20
"""Bytes of a piece. What is put off for the piece before stays in memory until then, so pieces are not too large."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The lines of a file from byte `start` to byte `end`; None is the end of the file."""

    path: Path
    start: int = 0
    end: int | None = None


def pieces_of(files: list[Path]) -> Iterator[Piece]:
    """All lines of the files; a compressed file is one piece.

    Raises:
        LogError: a file cannot be opened.
    """
    for path in files:
        try:
            yield from [Piece(path)] if is_compressed(path) else _plain_pieces(path)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from error


def _plain_pieces(path: Path) -> Iterator[Piece]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = 0
        while size - start > PIECE + PIECE // 2:
            file.seek(start + PIECE)
            file.readline()
            yield Piece(path, start, file.tell())
            start = file.tell()
    yield Piece(path, start)


def count_pieces(files: list[Path], jobs: int) -> Counting:
    """Everything in the files, in their order."""
    pieces = list(pieces_of(files))
    whole = Counting()
    if jobs < 2 or len(pieces) < 2:
        for piece in pieces:
            _feed(whole, piece)
        return whole
    # Forked: a child needs what is loaded here, and starting Python anew would take longer than most logs.
    with multiprocessing.get_context("fork").Pool(min(jobs, len(pieces))) as pool:
        for counted in pool.imap(_count, pieces):
            whole.absorb(counted)
    return whole


def _count(piece: Piece) -> Counting:
    counting = Counting(first=False)
    _feed(counting, piece)
    counting.tally.digest()
    return counting


def _feed(counting: Counting, piece: Piece) -> None:
    for block in blocks_of_file(piece.path, piece.start, piece.end):
        counting.feed(block)
