"""Bar charts as numbers for SVG: where each bar stands, and what it says when pointed at.

Across, a chart is as wide as the page, in per cent; upwards it has a fixed height in pixels. So its letters keep their
size on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailctl.maillog.formats import numbers
from mailctl.maillog.formats.hours import Series

HEIGHT = 160
BOTTOM, TOP = 20, 8
GAP = 0.2
"""Share of a step that stays empty."""
LABELS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: `x` and `width` in per cent, `y` and `height` in pixels; `kind` is its CSS class."""

    x: str
    y: str
    width: str
    height: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label; on a narrow page only those that are not `is_minor` have room."""

    position: str
    text: str
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: `kinds` is its legend, `across` the times below it, `up` the counts at its left."""

    title: str
    kinds: tuple[str, ...]
    bars: tuple[Bar, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def stacked(title: str, series: Series, kinds: Sequence[str]) -> Chart | None:
    """Bars of `kinds` on top of each other, one stack a step; None where nothing of it happened."""
    columns = list(zip(*(series.counts[kind] for kind in kinds), strict=True))
    highest = max(map(sum, columns), default=0)
    if not highest:
        return None
    step = 100 / len(columns)
    bars = tuple(_bars(columns, kinds, series, step, highest))
    every = -(-len(columns) // LABELS)
    across = tuple(
        Tick(f"{step * (place + 0.5):.2f}%", _label(series, place), is_minor=number % 2 == 1)
        for number, place in enumerate(range(0, len(columns), every))
    )
    up = tuple(Tick(f"{_y(value, highest):.1f}", numbers.count(value)) for value in _steps(highest))
    return Chart(title, tuple(kinds), bars, across, up)


def _bars(
    columns: Sequence[Sequence[int]], kinds: Sequence[str], series: Series, step: float, highest: int
) -> Iterator[Bar]:
    for place, values in enumerate(columns):
        below = 0
        for kind, value in zip(kinds, values, strict=True):
            if not value:
                continue
            top, base = _y(below + value, highest), _y(below, highest)
            x = step * (place + GAP / 2)
            title = f"{series.starts[place]:%Y-%m-%d %H:00}: {numbers.count(value)} {kind}"
            yield Bar(f"{x:.2f}%", f"{top:.1f}", f"{step * (1 - GAP):.2f}%", f"{base - top:.1f}", kind, title)
            below += value


def _y(value: int, highest: int) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / highest)


def _steps(highest: int) -> tuple[int, ...]:
    return (0, highest // 2, highest) if highest > 1 else (0, highest)


def _label(series: Series, place: int) -> str:
    start = series.starts[place]
    # Within two days the hour tells more than the date.
    return f"{start:%H:00}" if series.step * len(series.starts) <= 48 else f"{start:%d %b}"
