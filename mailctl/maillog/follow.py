"""Following a log that is being written, as `tail -F` does: renamed, truncated and replaced files included."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from mailctl.maillog.compressed import LogError
from mailctl.maillog.count import Counting
from mailctl.maillog.journal import as_syslog
from mailctl.maillog.position import Position, Reader
from mailctl.maillog.report import Report
from mailctl.maillog.summary import make_report

if TYPE_CHECKING:
    from mailctl.maillog.events import Event

POLL = 0.5
"""Seconds between two looks at the file."""


def follow(path: Path, *, from_start: bool = False) -> Iterator[Event | None]:
    """Every event as it is written, for ever; None after each look at the file, so that a caller may end.

    Args:
        from_start: with the lines that are there already.

    Raises:
        LogError: the file cannot be read; one that is missing is waited for.
    """
    from mailctl.maillog.parse import parse_line

    for block in blocks_as_written(path, from_start=from_start):
        for line in block.split(b"\n")[:-1]:
            yield parse_line(line)
        yield None


def follow_report(
    path: Path, *, interval: float = 2.0, from_start: bool = True, zone: tzinfo | None = None
) -> Iterator[Report]:
    """A report of everything so far, each `interval` seconds, for ever.

    Raises:
        LogError: the file cannot be read; one that is missing is waited for.
    """
    counting = Counting()
    for block in blocks_as_written(path, from_start=from_start, poll=interval):
        if block:
            counting.feed(block)
        else:
            yield make_report(counting, datetime.now(UTC), zone)


def blocks_as_written(path: Path, *, from_start: bool, poll: float = POLL) -> Iterator[bytes]:
    """Whole lines as they are written; an empty block when all there was has been given, then a pause."""
    reader = Reader(path, Position())
    if not from_start and path.exists():
        for _ in reader.blocks():
            pass
    while True:
        try:
            for block in reader.blocks():
                yield as_syslog(block)
        except LogError:
            # Between the renaming of a log and the making of the next there is none for a moment.
            if path.exists():
                raise
        yield b""
        time.sleep(poll)
