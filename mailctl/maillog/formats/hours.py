"""The hours of a report as a series without gaps, ready to draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailctl.maillog.report import Hour

STEPS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 168, 720, 8760)
LONGEST = 24 * 366 * 20
"""Hours; a stamp of another century must not make a chart of a million columns."""
BLOCKS = " ▁▂▃▄▅▆▇█"
COUNTED = ("received", "delivered", "deferred", "bounced", "rejected")


@dataclass(frozen=True, slots=True)
class Series:
    """`counts[field][i]` is what happened in the `step` hours from `starts[i]` on."""

    step: int
    starts: tuple[datetime, ...]
    counts: dict[str, tuple[int, ...]]


def series(hours: Iterable[Hour], columns: int) -> Series:
    """At most `columns` equal steps from the first hour to the last."""
    by_start = {datetime.fromisoformat(f"{hour.hour}:00"): hour for hour in hours}
    if not by_start:
        return Series(1, (), dict.fromkeys(COUNTED, ()))
    last = max(by_start)
    first = max(min(by_start), last - timedelta(hours=LONGEST))
    spanned = int((last - first) / timedelta(hours=1)) + 1
    step = next((step for step in STEPS if spanned <= step * columns), STEPS[-1])
    # Days begin at midnight, so that two columns of a month compare.
    first = first.replace(hour=first.hour - first.hour % min(step, 24))
    length = int((last - first) / timedelta(hours=step)) + 1
    sums = {field: [0] * length for field in COUNTED}
    for start, hour in by_start.items():
        if start < first:
            continue
        position = int((start - first) / timedelta(hours=step))
        for field in COUNTED:
            sums[field][position] += getattr(hour, field)
    starts = tuple(first + timedelta(hours=step * position) for position in range(length))
    return Series(step, starts, {field: tuple(values) for field, values in sums.items()})


def blocks(values: Iterable[int]) -> str:
    """One block character a value, the highest one full; a value above zero is never blank."""
    values = list(values)
    highest = max(values, default=0) or 1
    return "".join(BLOCKS[-(-value * (len(BLOCKS) - 1) // highest)] for value in values)
