"""Reading a log that grows, and message by message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailctl.cli.common import Session
from mailctl.cli.log_input import UnreadableLogError, open_source
from mailctl.cli.log_read import EVERY, Request, files_of
from mailctl.maillog.source import blocks_of, only_named
from mailctl.maillog.stamps import latest_stamp

if TYPE_CHECKING:
    from mailctl.maillog.report import Report
    from mailctl.maillog.trace.lives import Life


def follow_reports(session: Session, request: Request) -> Iterator[Report]:
    """A report of everything so far, and another whenever the log has grown; without end."""
    from mailctl.maillog.count import Counting
    from mailctl.maillog.summary import make_report
    from mailctl.maillog.window import Window

    with open_source(session, request.files, request.journal, request.since) as source:
        files = files_of(source, "--follow")
        window = Window(request.since, request.until, request.zone) if request.since or request.until else None
        counting = Counting(window=window, base_year=datetime.now(UTC).year)
        has_grown = True
        for block in only_named(growing_blocks(files), request.syslog_names):
            if block:
                counting.feed(block)
                has_grown = True
            elif has_grown:
                yield make_report(counting, datetime.now(UTC), request.zone)
                has_grown = False


def growing_blocks(files: list[Path]) -> Iterator[bytes]:
    """Blocks of whole lines, of the last file as they are written; an empty one whenever all has been read."""
    from mailctl.maillog.follow import blocks_as_written

    *earlier, last = files
    if not last.exists():
        # The library waits for it, as for one that is being rotated; a person has mistyped its name.
        raise UnreadableLogError(f"{last}: no such file")
    if earlier:
        yield from blocks_of(earlier)
    yield from blocks_as_written(last, from_start=True, poll=EVERY)


def read_lives(session: Session, request: Request, follows: bool) -> Iterator[Life]:
    """Messages and refusals, each as soon as it is over; with `follows` without end."""
    from mailctl.maillog.trace.lines import message_steps
    from mailctl.maillog.trace.lives import follow_lives

    with open_source(session, request.files, request.journal, request.since) as source:
        blocks = growing_blocks(files_of(source, "--follow")) if follows else blocks_of(source)
        for life in follow_lives(message_steps(only_named(blocks, request.syslog_names))):
            if is_within(life.steps[-1].line.stamp, request):
                yield life


def is_within(stamp: str, request: Request) -> bool:
    """Whether a line with that stamp lies in the period; what happens over several lines counts by the last."""
    if request.since is None and request.until is None:
        return True
    moment = latest_stamp(stamp.encode(errors="replace"), datetime.now(UTC), request.zone)
    if moment is None:
        return True
    return (request.since is None or moment >= request.since) and (request.until is None or moment < request.until)
