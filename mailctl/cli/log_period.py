"""Periods as people write them: today, yesterday, 2026-03-01, 12h."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo

from mailctl.errors import UsageError

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
AGO = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)

Period = tuple[datetime | None, datetime | None]


def parse_period(day: str | None, since: str | None, until: str | None, zone: tzinfo | None, now: datetime) -> Period:
    """From and before when, aware; None where open.

    Args:
        zone: of days and of times that do not name one; None is the machine's.
        now: an aware moment.

    Raises:
        UsageError: a time is none, or nothing lies between the two.
    """
    if day is not None:
        if since or until:
            raise UsageError("-d already says from when until when", hint="leave out --since and --until, or -d")
        first = _parse_day(day, now.astimezone(zone).date())
        return _midnight(first, zone), _midnight(first + timedelta(days=1), zone)
    begin = parse_time(since, zone, now) if since else None
    end = parse_time(until, zone, now) if until else None
    if begin and end and begin >= end:
        raise UsageError(f"nothing lies between --since {since} and --until {until}")
    return begin, end


def parse_time(text: str, zone: tzinfo | None, now: datetime) -> datetime:
    """A stamp of ISO 8601, `today`, `yesterday`, or how long ago: `90m`, `12h`, `7d`, `2w`.

    Raises:
        UsageError: `text` is none of these.
    """
    if text in ("today", "yesterday"):
        return _midnight(_parse_day(text, now.astimezone(zone).date()), zone)
    try:
        if match := AGO.fullmatch(text):
            return now - int(match[1]) * UNITS[match[2]]
        return _aware(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError) as error:
        hint = "write YYYY-MM-DD, YYYY-MM-DDTHH:MM, today, yesterday, or 90m, 12h, 7d for that long ago"
        raise UsageError(f"{text!r} is not a time", hint=hint) from error


def _parse_day(text: str, today: date) -> date:
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return named.get(text) or date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a day", hint="write today, yesterday or YYYY-MM-DD") from error


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return _aware(datetime.combine(day, time()), zone)


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo:
        return moment
    # Not the offset of now: a day of last winter began at winter time.
    return moment.replace(tzinfo=zone) if zone else moment.astimezone()
