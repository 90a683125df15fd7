"""Reading a log as the options ask for: period, state, progress, lines not understood."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mailctl.cli.common import Session
from mailctl.cli.log_input import LogSource, open_source, parse_zone
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

    @classmethod
    def of(cls, files: tuple[Path, ...], values: Mapping[str, Any]) -> Request:
        """From the values of the options.

        Raises:
            UsageError: a time, day or zone is none.
        """
        zone = parse_zone(values["tz"])
        since, until = parse_period(values["day"], values["since"], values["until"], zone, datetime.now(UTC))
        return cls(files, values["journal"], since, until, zone, values["jobs"], values["state"], values["unparsed"])


def read_report(session: Session, request: Request) -> tuple[Report, dict[str, int]]:
    """The report, and the sums of all reports made with the same state, this one included.

    Raises:
        LogError: the log, or the state, cannot be read.
    """
    from mailctl.maillog import summarise, summarise_new

    with (
        open_source(session, request.files, request.journal, request.since) as source,
        _unparsed_lines(request.unparsed) as on_unparsed,
        waiting_is_shown(session),
    ):
        if request.state:
            files = files_of(source, "--state")
            return summarise_new(files, request.state, prom.grown, zone=request.zone, on_unparsed=on_unparsed)
        report = summarise(
            source,
            since=request.since,
            until=request.until,
            zone=request.zone,
            jobs=request.jobs,
            on_unparsed=on_unparsed,
        )
    return report, prom.grown({}, report)


def files_of(source: LogSource, option: str) -> list[Path]:
    if isinstance(source, list):
        return source
    raise UsageError(f"{option} remembers places in files, and a stream has none", hint="name the log files")


@contextmanager
def _unparsed_lines(path: Path | None) -> Iterator[Callable[[bytes], None] | None]:
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
