"""Stamps of log lines: RFC 3339 as rsyslog writes it, and the BSD form of RFC 3164, which has no year.

The year of a BSD stamp follows from the order of the lines: months fall from December to January once a year. Counting
only notes how many years have passed since the log began; `Years.base` says afterwards which year that was, from the
stamps that do have one, or from the newest date the caller knows (the file's mtime, not the clock).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TypeVar

from mailctl.maillog.tally import HourKey

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_File = TypeVar("_File")

RFC3339_HOUR = 13  # bytes of a stamp up to its hour
BSD_HOUR = 9

_DATE = rb"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])"
_RFC3339 = re.compile(_DATE + rb"(?::[0-5]\d:[0-6]\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)?")
_BSD = re.compile(
    rb"(" + b"|".join(MONTHS) + rb") (0[1-9]| [1-9]|[12]\d|3[01]) ([01]\d|2[0-3])(?::([0-5]\d):([0-6]\d))?"
)


@dataclass
class Years:
    """Which year BSD stamps are in, while lines go by in their order.

    `passed` counts the turns of the year since the first line; `first_month` and `month` are the months of the
    first and the latest line, 0 before any. `offset` + `passed` is the year itself, once a stamp has told it.
    """

    passed: int = 0
    first_month: int = 0
    month: int = 0
    offset: int | None = None

    def see(self, month: int, year: int | None = None) -> None:
        self.passed += turn_of_year(self.month, month)
        self.first_month = self.first_month or month
        self.month = month
        if year is not None:
            self.offset = year - self.passed

    def follow(self, later: Years) -> int:
        """Go on where a piece of the log ends that was counted by itself; returns what its years are off by."""
        if not later.month:
            return 0
        shift = self.passed + turn_of_year(self.month, later.first_month)
        self.first_month = self.first_month or later.first_month
        self.passed, self.month = shift + later.passed, later.month
        if later.offset is not None:
            self.offset = later.offset - shift
        return shift

    def base(self, newest: datetime) -> int:
        """The year in which `passed` was 0; the last line is not later than `newest`, give or take a day."""
        if self.offset is not None:
            return self.offset
        is_later = self.month > newest.month + (newest.day >= 28)
        return newest.year - is_later - self.passed


def turn_of_year(before: int, month: int) -> int:
    """1 where months fall, -1 from January back to December, else 0: lines of several hosts are not quite in order."""
    if before == 1 and month == 12:
        return -1
    return 1 if before - month > 1 else 0


def hour_of(prefix: bytes, years: Years) -> HourKey | None:
    """The hour that a line beginning so belongs to; None where that is no stamp."""
    if match := _RFC3339.fullmatch(prefix):
        years.see(int(match[2]), int(match[1]))
        return prefix
    if match := _BSD.fullmatch(prefix):
        years.see(MONTHS.index(match[1]) + 1)
        return years.passed, prefix
    return None


def name_of_hour(hour: HourKey, base: int) -> str:
    """`YYYY-MM-DDTHH`; `base` is the year in which the log began."""
    if isinstance(hour, bytes):
        return hour.decode()
    passed, text = hour
    month, day, clock = text[:3], int(text[4:6]), text[7:9].decode()
    return f"{base + passed:04}-{MONTHS.index(month) + 1:02}-{day:02}T{clock}"


def parse_stamp(line: bytes, year: int, zone: tzinfo | None = None) -> datetime | None:
    """The stamp a line begins with; one without year or offset is taken to be in `year` and `zone`. None: no stamp."""
    try:
        if match := _RFC3339.match(line):
            stamp = datetime.fromisoformat(match[0].decode())
            return stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)
        if match := _BSD.match(line):
            month, day, hour, minute, second = match.groups()
            numbers = (int(day), int(hour), int(minute or 0), min(int(second or 0), 59))
            return datetime(year, MONTHS.index(month) + 1, *numbers, tzinfo=zone)
    except ValueError:
        pass  # February 30, or 24:00 somewhere
    return None


def in_order(files: Iterable[tuple[_File, bytes, datetime]]) -> list[_File]:
    """Files by time, from their first line and the time they were last written: a log ends when it was written last."""

    def begin(item: tuple[_File, bytes, datetime]) -> tuple[datetime, datetime]:
        _, line, written = item
        stamp = parse_stamp(line, written.year)
        if stamp is None:
            return written, written
        if stamp.tzinfo is None:
            stamp = stamp.astimezone()
            if stamp > written + timedelta(days=1):
                stamp = stamp.replace(year=stamp.year - 1)
        return stamp, written

    return [file for file, _, _ in sorted(files, key=begin)]
