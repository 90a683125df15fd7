"""From a log to its Report."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from mailctl.maillog.count import Counting
from mailctl.maillog.pieces import count_pieces
from mailctl.maillog.report import Report
from mailctl.maillog.source import Source, blocks_of, files_of
from mailctl.maillog.summary import make_report


def summarise(source: Source, *, zone: tzinfo | None = None, jobs: int | None = None) -> Report:
    """Count a whole log.

    Args:
        source: files in the order of time, or lines; see `Source`.
        zone: of stamps that do not name one.
        jobs: processes; as many as the machine has processors when None.

    Raises:
        LogError: a file cannot be opened or is damaged.
    """
    files = files_of(source)
    if files is not None:
        counting = count_pieces(files, jobs or os.cpu_count() or 1)
    else:
        counting = Counting()
        for block in blocks_of(source):
            counting.feed(block)
    return make_report(counting, _newest(files), zone)


def _newest(files: list[Path] | None) -> datetime:
    times = [path.stat().st_mtime for path in files or []]
    return datetime.fromtimestamp(max(times), UTC) if times else datetime.now(UTC)
