"""One line for Nagios, Icinga and their kin: state, numbers, performance data.

Source: the Monitoring Plugins' development guidelines, sections on output, ranges and performance data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum

from mailctl.maillog.report import Report

RANGE = re.compile(r"(?P<inside>@)?(?:(?P<low>~|-?\d+(?:\.\d+)?)?:)?(?P<high>-?\d+(?:\.\d+)?)?", re.ASCII)
SHOWN = ("received", "delivered", "deferred", "bounced", "rejected")


class State(IntEnum):
    """The exit status of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Threshold:
    """A range of the plugin guidelines: alert outside `low` to `high`, or inside it after `@`."""

    text: str
    low: float
    high: float
    alerts_inside: bool

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """`10`, `10:`, `~:10`, `10:20`, `@10:20`.

        Raises:
            ValueError: `text` is none of these.
        """
        match = RANGE.fullmatch(text)
        if not match or not text.lstrip("@"):
            raise ValueError(f"{text!r} is not a range; write 10, 10:, ~:10, 10:20 or @10:20")
        low = {"~": -math.inf, None: 0.0}.get(match["low"])
        low = float(match["low"]) if low is None else low
        high = float(match["high"]) if match["high"] else math.inf
        if low > high:
            raise ValueError(f"{text!r} begins above its end")
        return cls(text, low, high, bool(match["inside"]))

    def alerts(self, value: float) -> bool:
        return (self.low <= value <= self.high) == self.alerts_inside


Thresholds = Mapping[str, Threshold]


def measured(report: Report) -> dict[str, float]:
    """What thresholds may name: every total, `lines`, `unparsed`, and the delays in seconds."""
    delays = {f"delay_{name}": value for name, value in asdict(report.delay).items() if value is not None}
    return {**asdict(report.totals), "lines": report.lines.total, "unparsed": report.lines.unparsed, **delays}


def render(report: Report, warning: Thresholds, critical: Thresholds, may_be_empty: bool = False) -> tuple[str, State]:
    """The line, and the state to exit with. A threshold on a delay says nothing when nothing was delivered.

    Args:
        may_be_empty: the report is of what came since the last one, which may be nothing.
    """
    values = measured(report)
    state, reasons = _judge(values, warning, critical)
    if not report.lines.total and not may_be_empty:
        state = max(state, State.WARNING)
        reasons.append("no lines in the log")
    summary = ", ".join(reasons) or ", ".join(f"{name} {values[name]}" for name in SHOWN)
    return f"MAIL {state.name} - {summary} | {' '.join(_performance(values, warning, critical))}", state


def _judge(values: Mapping[str, float], warning: Thresholds, critical: Thresholds) -> tuple[State, list[str]]:
    state, reasons = State.OK, []
    for level, thresholds in ((State.CRITICAL, critical), (State.WARNING, warning)):
        for name, threshold in thresholds.items():
            if name in values and threshold.alerts(values[name]):
                state = max(state, level)
                reasons.append(f"{name} is {values[name]:g} ({level.name.lower()} {threshold.text})")
    return state, reasons


def _performance(values: Mapping[str, float], warning: Thresholds, critical: Thresholds) -> Iterator[str]:
    for name, value in values.items():
        unit = {"delay": "s", "bytes": "B"}.get(name.partition("_")[0], "")
        limits = [thresholds[name].text if name in thresholds else "" for thresholds in (warning, critical)]
        yield ";".join([f"{name}={value}{unit}", *limits, "0"])
