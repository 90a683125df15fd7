"""Stamps of log lines: RFC 3339 as rsyslog writes it, and the BSD form of RFC 3164, which has no year.

The year of a BSD stamp follows from the order of the lines: months fall from December to January once a year. Counting
only notes how many years have passed since the log began; `Years.base` says afterwards which year that was, from the
stamps that do have one, or from the newest date the caller knows (the file's mtime, not the clock), and from February
29, which only some years have.

A stamp is one only where its day exists and its year is one that a clock may show: an hour that was counted is an hour
of the calendar, whatever is done with it.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TypeVar

from mailctl.maillog.tally import HourKey

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_File = TypeVar("_File")

RFC3339_HOUR = 13  # bytes of a stamp up to its hour
BSD_HOUR = 9

FIRST_YEAR, LAST_YEAR = 1900, 8999
"""A log has no others. Decades beyond them still are years of `datetime`, so nothing that is worked out overflows."""
LEAP_YEAR, ORDINARY_YEAR = 2000, 2001
LONGEST_WITHOUT_LEAP_DAY = 8  # years, around 1900 and 2100

_DATE = rb"(19\d\d|[2-8]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])"
_OFFSET = rb"(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)"
_RFC3339 = re.compile(_DATE + rb"(?::[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?" + _OFFSET + rb"?)?")
_BSD = re.compile(
    rb"(" + b"|".join(MONTHS) + rb") (0[1-9]| [1-9]|[12]\d|3[01]) ([01]\d|2[0-3])(?::([0-5]\d):([0-6]\d))?"
)


@dataclass
class Years:
    """Which year BSD stamps are in, while lines go by in their order.

    `passed` counts the turns of the year since the first line; `first_month` and `month` are the months of the
    first and the latest line, 0 before any. `offset` + `passed` is the year itself, once a stamp has told it.
    `leap_passed` is what had passed at the latest February 29 without a year.
    """

    passed: int = 0
    first_month: int = 0
    month: int = 0
    offset: int | None = None
    leap_passed: int | None = None

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
        if later.leap_passed is not None:
            self.leap_passed = later.leap_passed + shift
        return shift

    def base(self, newest: datetime) -> int:
        """The year in which `passed` was 0; the last line is not later than `newest`, give or take a day."""
        if self.offset is not None:
            return self.offset
        is_later = self.month > newest.month + (newest.day >= 28)
        base = newest.year - is_later - self.passed
        while self.leap_passed is not None and not isleap(base + self.leap_passed):
            base -= 1
        return base


def turn_of_year(before: int, month: int) -> int:
    """1 where months fall, -1 from January back to December, else 0: lines of several hosts are not quite in order."""
    if before == 1 and month == 12:
        return -1
    return 1 if before - month > 1 else 0


def hour_of(prefix: bytes, years: Years) -> HourKey | None:
    """The hour that a line beginning so belongs to; None where that is no stamp."""
    if match := _RFC3339.fullmatch(prefix):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        if not _exists(year, month, day):
            return None
        years.see(month, year)
        return prefix
    if match := _BSD.fullmatch(prefix):
        month, day = MONTHS.index(match[1]) + 1, int(match[2])
        if not _exists(LEAP_YEAR, month, day):
            return None
        years.see(month)
        if not _exists(ORDINARY_YEAR, month, day):
            years.leap_passed = years.passed
        return years.passed, prefix
    return None


def _exists(year: int, month: int, day: int) -> bool:
    return day <= 28 or day <= monthrange(year, month)[1]


def name_of_hour(hour: HourKey, base: int) -> str:
    """`YYYY-MM-DDTHH` of what `hour_of` gave; `base` is the year in which the log began."""
    if isinstance(hour, bytes):
        return hour.decode()
    passed, text = hour
    return f"{_day_of(base + passed, MONTHS.index(text[:3]) + 1, int(text[4:6]))}T{text[7:9].decode()}"


def _day_of(year: int, month: int, day: int) -> date:
    """A day that exists. Stamps without a year may contradict others: February 29 of a year that has none is the day
    after the 28th all the same, and lines in no order at all seem to be of thousands of years."""
    return date(min(max(year, FIRST_YEAR), LAST_YEAR), month, 1) + timedelta(days=day - 1)


def parse_stamp(line: bytes, year: int, zone: tzinfo | None = None) -> datetime | None:
    """The stamp a line begins with; one without year or offset is taken to be in `year` and `zone`. None: no stamp."""
    try:
        if match := _RFC3339.match(line):
            stamp = datetime.fromisoformat(match[0].replace(b":60", b":59").decode())  # a leap second
            return stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)
        if match := _BSD.match(line):
            month, day = MONTHS.index(match[1]) + 1, int(match[2])
            if _exists(LEAP_YEAR, month, day):
                clock = time(int(match[3]), int(match[4] or 0), min(int(match[5] or 0), 59), tzinfo=zone)
                return datetime.combine(_day_of(year, month, day), clock)
    except ValueError:
        pass  # February 30
    return None


def latest_stamp(line: bytes, newest: datetime, zone: tzinfo | None = None) -> datetime | None:
    """The aware stamp a line begins with. One without a year is of the last year that does not put it after `newest`,
    give or take a day; None is the machine's zone."""
    for year in range(newest.year, newest.year - LONGEST_WITHOUT_LEAP_DAY - 1, -1):
        stamp = parse_stamp(line, year, zone)
        if stamp is None or (line.startswith(b"Feb 29") and not isleap(year)):
            continue
        stamp = stamp if stamp.tzinfo else stamp.astimezone()
        if stamp <= newest + timedelta(days=1) or line[:1].isdigit():
            return stamp
    return None


def in_order(files: Iterable[tuple[_File, bytes, datetime]]) -> list[_File]:
    """Files by time, from their first line and the time they were last written: a log ends when it was written last."""

    def begin(item: tuple[_File, bytes, datetime]) -> tuple[datetime, datetime]:
        _, line, written = item
        return latest_stamp(line, written) or written, written

    return [file for file, _, _ in sorted(files, key=begin)]
