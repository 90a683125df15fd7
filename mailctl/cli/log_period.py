"""Periods as people write them: today, yesterday, 2026-03-01, 12h."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo

from mailctl.errors import UsageError

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
AGO = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)

Period = tuple[datetime | None, datetime | None]


def parse_period(day: str | None, since: str | None, until: str | None, now: datetime) -> Period:
    """From and before when, None where open; without a zone they mean the log's own time.

    Raises:
        UsageError: a time is none, or nothing lies between the two.
    """
    if day is not None:
        if since or until:
            raise UsageError("-d already says from when until when", hint="leave out --since and --until, or -d")
        first = _parse_day(day, now.date())
        return datetime.combine(first, time()), datetime.combine(first + timedelta(days=1), time())
    begin = parse_time(since, now) if since else None
    end = parse_time(until, now) if until else None
    if begin and end and _is_empty(begin, end, now.tzinfo):
        raise UsageError(f"nothing lies between --since {since} and --until {until}")
    return begin, end


def _is_empty(begin: datetime, end: datetime, zone: tzinfo | None) -> bool:
    aware = [each if each.tzinfo else each.replace(tzinfo=zone) for each in (begin, end)]
    return aware[0] >= aware[1]


def _parse_day(text: str, today: date) -> date:
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return named.get(text) or date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a day", hint="write today, yesterday or YYYY-MM-DD") from error


def parse_time(text: str, now: datetime) -> datetime:
    """A stamp of ISO 8601, `today`, `yesterday`, or how long ago: `90m`, `12h`, `7d`, `2w`.

    Raises:
        UsageError: `text` is none of these.
    """
    if text in ("today", "yesterday"):
        return datetime.combine(_parse_day(text, now.date()), time())
    try:
        if match := AGO.fullmatch(text):
            return now - int(match[1]) * UNITS[match[2]]
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        hint = "write YYYY-MM-DD, YYYY-MM-DDTHH:MM, today, yesterday, or 90m, 12h, 7d for that long ago"
        raise UsageError(f"{text!r} is not a time", hint=hint) from error
