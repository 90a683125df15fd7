"""Counting a log with several processes: pieces of whole lines, counted apart, absorbed in their order."""

from __future__ import annotations

import gc
import marshal
import math
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mailctl.maillog.absorb import absorb
from mailctl.maillog.compressed import LogError, is_compressed
from mailctl.maillog.count import Counting
from mailctl.maillog.source import blocks_of_file
from mailctl.maillog.tally import Tally

SMALLEST_PIECE = 4 << 20
"""Bytes; less is counted faster than it is handed over."""

PIECE = 32 << 20
"""Bytes of a piece, at most: what is put off for the piece before stays in memory until then."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The lines of a file from byte `start` to byte `end`; None is the end of the file."""

    path: Path
    start: int = 0
    end: int | None = None


def pieces_of(files: list[Path], workers: int) -> Iterator[Piece]:
    """All lines of the files, a whole number of pieces for each worker; a compressed file is one piece.

    Raises:
        LogError: a file cannot be opened.
    """
    for path in files:
        try:
            yield from [Piece(path)] if is_compressed(path) else _plain_pieces(path, workers)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from error


def _plain_pieces(path: Path, workers: int) -> Iterator[Piece]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        rounds = max(1, math.ceil(size / (PIECE * workers)))
        step = max(size // (rounds * workers) + 1, SMALLEST_PIECE)
        start = 0
        while start + step < size:
            file.seek(start + step)
            file.readline()
            yield Piece(path, start, file.tell())
            start = file.tell()
    yield Piece(path, start)


def count_pieces(files: list[Path], jobs: int) -> Counting:
    """Everything in the files, in their order.

    Raises:
        LogError: a file cannot be read, or a process was killed.
    """
    pieces = list(pieces_of(files, max(1, jobs)))
    workers = min(jobs, len(pieces))
    whole = Counting()
    if workers < 2:
        for piece in pieces:
            _feed(whole, piece)
        return whole
    with ExitStack() as stack:
        # The worker with number N counts the pieces N, N + workers, ...
        results = [stack.enter_context(_worker(pieces[number::workers])) for number in range(workers)]
        for number in range(len(pieces)):
            absorb(whole, _receive(results[number % workers]))
        for result in results:
            whole.tally.add(Tally.from_values(marshal.loads(_receive(result))))  # noqa: S302 (from our own child)
    return whole


@contextmanager
def _worker(pieces: list[Piece]) -> Iterator[Connection]:
    # Forked: a child needs what is loaded here, and starting Python anew would take longer than most logs.
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(pieces, writer), daemon=True)
    process.start()
    writer.close()
    try:
        with reader:
            yield reader
    finally:
        # Not by SIGTERM, for which the program that calls this may have a handler, inherited by the child.
        process.kill()
        process.join()


@contextmanager
def no_garbage() -> Iterator[None]:
    """Without the collector: counting makes no cycles, and there are many small things to look through."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _work(pieces: list[Piece], results: Connection) -> None:
    """Sends a Counting for each piece, each only when the one before has been taken, then what all of them add up to;
    or the error that ends it."""
    gc.disable()
    sums = Tally()
    try:
        for piece in pieces:
            counting = Counting(first=False, tally=sums)
            _feed(counting, piece)
            counting.tally = sums.take_placed()
            results.send(counting)
        results.send(marshal.dumps(sums.values()))
    except LogError as error:
        results.send(error)
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # nobody wants it any more


def _receive(results: Connection) -> Any:
    try:
        counted = results.recv()
    except EOFError as error:
        raise LogError("a process that counted was killed") from error
    if isinstance(counted, LogError):
        raise counted
    return counted


def _feed(counting: Counting, piece: Piece) -> None:
    for block in blocks_of_file(piece.path, piece.start, piece.end):
        counting.feed(block)
