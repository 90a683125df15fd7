"""Numbers as people read them."""

from __future__ import annotations

from datetime import datetime

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count(number: int) -> str:
    return f"{number:,}"


def counted(number: int, one: str) -> str:
    """A number with its noun: `1 message`, `2 messages`."""
    return f"{count(number)} {noun(number, one)}"


def noun(number: int, one: str) -> str:
    return one if number == 1 else f"{one}s"


def size(number: int) -> str:
    """Bytes in units of 1000, three digits at most: `1.5 MB`."""
    amount = float(number)
    for unit in UNITS:
        if amount < 999.5 or unit == UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"


def seconds(amount: float | None) -> str:
    """A delay with its unit: `0.4 s`, `12 min`, `3.5 h`."""
    if amount is None:
        return "-"
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if amount < limit:
            return f"{amount / divisor:.3g} {unit}"
    return f"{amount / 86400:.3g} d"


def share(part: int, whole: int) -> str:
    """A percentage that says 100 only for all of it, and 0 only for nothing."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def stamp(when: datetime | None) -> str:
    return when.isoformat(" ", "seconds") if when else "-"
