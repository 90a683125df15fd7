"""Reading a log as the options ask for: period, state, progress, lines not understood."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO
from zoneinfo import ZoneInfo

from mailctl.cli.common import Session
from mailctl.cli.log_input import LogSource, UnreadableLogError, open_journal, open_source, parse_zone
from mailctl.cli.log_period import parse_period
from mailctl.errors import UsageError
from mailctl.host import LocalHost
from mailctl.maillog.formats import prom

if TYPE_CHECKING:
    from mailctl.maillog.report import Report

PATIENCE = 2.0
EVERY = 1.0
"""Seconds: until a wait is shown, and between two looks at a growing log."""
CHUNK = 4096
"""Lines not understood that are held before they are written."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to read."""

    files: tuple[Path, ...]
    journal: bool
    since: datetime | None
    until: datetime | None
    zone: ZoneInfo | None
    jobs: int | None
    state: Path | None
    unparsed: Path | None
    syslog_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: tuple[Path, ...], values: Mapping[str, Any]) -> Request:
        """From the values of the options.

        Raises:
            UsageError: a time, day or zone is none.
        """
        zone = parse_zone(values["tz"])
        since, until = parse_period(values["day"], values["since"], values["until"], zone, datetime.now(UTC))
        return cls(
            files=files,
            journal=values["journal"],
            since=since,
            until=until,
            zone=zone,
            jobs=values["jobs"],
            state=values["state"],
            unparsed=values["unparsed"],
            syslog_names=syslog_names(values["syslog_name"]),
        )


def syslog_names(name: str | None) -> tuple[str, ...]:
    """As pflogsumm has it: several names may be written `(one|two)`, and `postfix` counts as well, because Postfix logs
    under that name until it has read its configuration."""
    return ("postfix", *name.strip("()").split("|")) if name else ()


OnUnparsed = Callable[[bytes], None]


def read_report(session: Session, request: Request) -> tuple[Report, dict[str, int]]:
    """The report, and the sums of all reports made with the same state, this one included.

    Raises:
        LogError: the log, or the state, cannot be read.
    """
    with _unparsed_lines(request.unparsed) as on_unparsed, waiting_is_shown(session):
        if request.state:
            return _read_new(session, request, request.state, on_unparsed)
        report = _read_all(session, request, on_unparsed)
    return report, prom.grown({}, report)


def _read_all(session: Session, request: Request, on_unparsed: OnUnparsed | None) -> Report:
    from mailctl.maillog import summarise

    with open_source(session, request.files, request.journal, request.since) as source:
        report = summarise(
            source,
            since=request.since,
            until=request.until,
            zone=request.zone,
            jobs=request.jobs,
            on_unparsed=on_unparsed,
            syslog_names=request.syslog_names,
        )
    # Of a period, lines without a stamp may be all there is.
    if report.lines.total and report.period.first is None and not (request.since or request.until):
        raise UnreadableLogError(
            f"this is no mail log: none of its lines begins with a time ({report.lines.total} read)",
            hint="name what syslog wrote (/var/log/mail.log), or the output of `journalctl -o json`",
        )
    return report


def _read_new(
    session: Session, request: Request, state: Path, on_unparsed: OnUnparsed | None
) -> tuple[Report, dict[str, int]]:
    from mailctl.maillog import summarise_new, summarise_new_entries

    options: dict[str, Any] = {"on_unparsed": on_unparsed, "syslog_names": request.syslog_names}
    if request.journal and not request.files:

        def open_after(cursor: str) -> AbstractContextManager[BinaryIO]:
            return open_journal(session, cursor=cursor)

        return summarise_new_entries(open_after, state, prom.grown, **options)
    with open_source(session, request.files, request.journal) as source:
        files = files_of(source, "--state")
        return summarise_new(files, state, prom.grown, zone=request.zone, **options)


def files_of(source: LogSource, option: str) -> list[Path]:
    if isinstance(source, list):
        return source
    hint = "name the log files, or give --journal"
    raise UsageError(f"{option} remembers places in files, and a stream has none", hint=hint)


@contextmanager
def _unparsed_lines(path: Path | None) -> Iterator[OnUnparsed | None]:
    """Takes lines for the file `path`, which it makes anew; they may hold addresses, so others cannot read it."""
    if path is None:
        yield None
        return
    folder, name = LocalHost(path.absolute().parent), PurePosixPath("/", path.name)
    folder.remove(name)
    held: list[bytes] = []

    def keep(line: bytes) -> None:
        held.append(line.rstrip(b"\n") + b"\n")
        if len(held) >= CHUNK:
            folder.append(name, b"".join(held))
            held.clear()

    try:
        yield keep
    finally:
        folder.append(name, b"".join(held))


@contextmanager
def waiting_is_shown(session: Session) -> Iterator[None]:
    """On a terminal, a line says that a long log is still being read."""
    if session.quiet or not sys.stderr.isatty():
        yield
        return
    began = time.monotonic()

    def show(number: int, frame: FrameType | None) -> None:
        os.write(sys.stderr.fileno(), f"\rreading the log: {time.monotonic() - began:.0f} s".encode())

    # A timer, not a thread: processes that count in parallel are forked meanwhile, and they do not inherit it.
    before = signal.signal(signal.SIGALRM, show)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE, EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if time.monotonic() - began > PATIENCE:
            os.write(sys.stderr.fileno(), b"\r\x1b[K")
