"""From a log to its Report: all of it, a period of it, or what is new since the last time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import BinaryIO

from mailctl.maillog.compressed import LogError
from mailctl.maillog.count import Counting
from mailctl.maillog.journal import as_syslog, cursor_of
from mailctl.maillog.lines import by_hour, hour_length
from mailctl.maillog.pieces import count_pieces, no_garbage
from mailctl.maillog.position import Position, Reader
from mailctl.maillog.report import Report
from mailctl.maillog.source import BLOCK, Source, blocks_of, files_of, only_named
from mailctl.maillog.stamps import Years, hour_of, in_order
from mailctl.maillog.state import State, locked
from mailctl.maillog.summary import make_report
from mailctl.maillog.window import Window

OnUnparsed = Callable[[bytes], None]
Grow = Callable[[Mapping[str, int], Report], dict[str, int]]


def summarise(
    source: Source,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    zone: tzinfo | None = None,
    jobs: int | None = None,
    on_unparsed: OnUnparsed | None = None,
    syslog_names: Collection[str] = (),
) -> Report:
    """Count a log.

    Args:
        source: files in any order, or lines; see `Source`.
        since, until: aware; count only lines from the one on and before the other. The lines before still tell what
            became of which message.
        zone: of stamps that do not name one.
        jobs: processes, for several files or a large one; as many as there are processors when None.
        on_unparsed: called with each line that was not understood.
        syslog_names: count only what Postfix logs under these names, as if nothing else were in the log.

    Raises:
        LogError: a file cannot be opened or is damaged.
    """
    files = files_of(source)
    if files is not None:
        files = _by_time(files)
    if files is not None and since is None and until is None and on_unparsed is None and not syslog_names:
        with no_garbage():
            counting = count_pieces(files, jobs or os.cpu_count() or 1)
            return make_report(counting, _newest(files), zone)
    window = Window(since, until, zone) if since or until else None
    base = _base_year(files) if window else 0
    counting = Counting(on_unparsed=on_unparsed, window=window, base_year=base)
    for block in only_named(blocks_of(source if files is None else files), syslog_names):
        counting.feed(block)
    return make_report(counting, _newest(files), zone)


def summarise_new(
    files: list[Path],
    state: Path,
    grow: Grow | None = None,
    *,
    zone: tzinfo | None = None,
    on_unparsed: OnUnparsed | None = None,
    syslog_names: Collection[str] = (),
) -> tuple[Report, dict[str, int]]:
    """Count the lines that no earlier call with this state has counted.

    A message that turns out to be re-injected after it was counted as received moves: over all calls the totals are
    those of the whole log, and a single one may be negative.

    Args:
        files: the logs as they are written; rotated files are found beside them.
        state: a file made at the first call; one more file beside it is the lock.
        grow: makes the new sums from the old ones and the report. They are kept in the state, so that they count
            each line once, too.
        syslog_names: as in `summarise`; the same in all calls.

    Returns:
        The report of the new lines, and the sums.

    Raises:
        LogError: a log or the state cannot be read, or the state not be written; then nothing has been counted.
    """

    def read_files(kept: State, counting: Counting) -> datetime:
        for file in files:
            name = str(file.absolute())
            reader = Reader(file, kept.positions.get(name, Position()))
            for block in only_named(map(as_syslog, reader.blocks()), syslog_names):
                counting.feed(block)
            kept.positions[name] = reader.position
        return _newest(files)

    return _count_new(state, read_files, grow, zone, on_unparsed)


def summarise_new_entries(
    open_after: Callable[[str], AbstractContextManager[BinaryIO]],
    state: Path,
    grow: Grow | None = None,
    *,
    on_unparsed: OnUnparsed | None = None,
    syslog_names: Collection[str] = (),
) -> tuple[Report, dict[str, int]]:
    """Count the entries of the journal that no earlier call with this state has counted; see `summarise_new`.

    Args:
        open_after: opens the output of `journalctl -o json` after a cursor, or from its beginning after an empty one.
    """

    def read_journal(kept: State, counting: Counting) -> datetime:
        with open_after(kept.cursor) as entries:
            while lines := entries.readlines(BLOCK):
                if not lines[-1].endswith(b"\n"):
                    lines.pop()  # cut short: it comes again after the cursor of the one before
                for line in reversed(lines):
                    if cursor := cursor_of(line):
                        kept.cursor = cursor
                        break
                for block in only_named([as_syslog(b"".join(lines))], syslog_names):
                    counting.feed(block)
        return datetime.now(UTC)

    return _count_new(state, read_journal, grow, None, on_unparsed)


def _count_new(
    state: Path,
    read_new: Callable[[State, Counting], datetime],
    grow: Grow | None,
    zone: tzinfo | None,
    on_unparsed: OnUnparsed | None,
) -> tuple[Report, dict[str, int]]:
    with locked(state):
        kept = State.load(state)
        counting = Counting(on_unparsed=on_unparsed)
        kept.resume(counting)
        newest = read_new(kept, counting)
        report = make_report(counting, newest, zone)
        if grow is not None:
            kept.sums = grow(kept.sums, report)
        kept.keep(counting)
        kept.save(state)
        return report, kept.sums


def _by_time(files: list[Path]) -> list[Path]:
    """In the order of their first stamps: a shell sorts rotated files the newest first."""
    if len(files) < 2:
        return files
    return in_order([(file, _first_line(file), _mtime(file)) for file in files])


def _first_line(file: Path) -> bytes:
    for block in blocks_of(file):
        return block.partition(b"\n")[0]
    return b""


def _mtime(file: Path) -> datetime:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError as error:
        raise LogError(f"{file}: {error.strerror or error}") from error


def _newest(files: list[Path] | None) -> datetime:
    return max(map(_mtime, files)) if files else datetime.now(UTC)


def _base_year(files: list[Path] | None) -> int:
    """The year in which a log begins, from a first look at its stamps; a stream is taken to be of one year."""
    years = Years()
    for block in blocks_of(files or []):
        for lines in by_hour(block):
            hour_of(lines[: hour_length(lines)], years)
    return years.base(_newest(files))
