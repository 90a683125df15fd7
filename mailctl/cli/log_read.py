"""Reading a log as the options ask for: period, state, progress, lines not understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mailctl.cli.common import Session
from mailctl.cli.log_input import open_source, parse_zone
from mailctl.cli.log_period import parse_period
from mailctl.maillog.formats import prom

if TYPE_CHECKING:
    from mailctl.maillog.anonymise import Anonymiser
    from mailctl.maillog.report import Report


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
    """The report, and the sums of all reports made with the same state, this one included."""
    from mailctl.maillog import summarise

    with open_source(session, request.files, request.journal, request.since) as source:
        report = summarise(source, zone=request.zone, jobs=request.jobs)
    return report, prom.grown({}, report)


def read_messages(session: Session, request: Request, anonymiser: Anonymiser | None) -> Iterator[str]:
    """A JSON line for each message and refusal, as the log is read."""
    from mailctl.maillog.formats import jsonl
    from mailctl.maillog.source import blocks_of
    from mailctl.maillog.trace.lines import mail_lines
    from mailctl.maillog.trace.lives import follow_lives

    with open_source(session, request.files, request.journal, request.since) as source:
        yield from jsonl.render(follow_lives(mail_lines(blocks_of(source))), anonymiser)
