"""Periods as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailctl.cli.log_period import parse_period, parse_time
from mailctl.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # in Berlin the 30th, and on the 29th clocks went forward


def test_a_day_is_that_of_the_zone_also_where_clocks_change() -> None:
    assert parse_period("today", None, None, UTC, NOW)[0] == datetime(2026, 3, 29, tzinfo=UTC)
    begin, end = parse_period("yesterday", None, None, BERLIN, NOW)
    assert begin == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert end == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert parse_period("2026-01-05", None, None, BERLIN, NOW)[0] == datetime(2026, 1, 4, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-03-01", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("2026-03-01T10:30", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01T10:30:00Z", datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 28, 23, tzinfo=UTC)),
    ],
)
def test_times_are_stamps_or_how_long_ago(text: str, moment: datetime) -> None:
    assert parse_time(text, BERLIN, NOW) == moment


@pytest.mark.parametrize("text", ["", "h", "-1h", "1y", "2026-13-01", "999999w", "now", "٣h"])
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_time(text, BERLIN, NOW)
