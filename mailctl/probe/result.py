"""What a probe found, as data: a verdict for each check, and the dialogue that proves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check ended; in the order of what a reader must see first."""

    FAIL = "FAIL"
    WARN = "warn"
    OK = "ok"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt of a check: `where` it was made (port, protocol, address family), its dialogue, how long it took.

    `is_refuted` where the server showed that the claim is wrong; it may as well fail because it said nothing.
    """

    where: str
    verdict: Verdict
    note: str = ""
    dialogue: tuple[str, ...] = ()
    seconds: float = 0.0
    is_refuted: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "where": self.where,
            "verdict": self.verdict.value,
            "note": self.note,
            "dialogue": list(self.dialogue),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Result:
    """One check: the worst of its attempts decides."""

    name: str
    claim: str
    remedy: str
    outcomes: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict:
        found = {outcome.verdict for outcome in self.outcomes}
        return next(verdict for verdict in Verdict if verdict in found)

    @property
    def decisive(self) -> tuple[Outcome, ...]:
        """The attempts that made the verdict."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict is self.verdict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "family": self.name.partition(".")[0],
            "claim": self.claim,
            "verdict": self.verdict.value,
            "note": self.decisive[0].note,
            "remedy": self.remedy,
            "attempts": [outcome.as_json() for outcome in self.outcomes],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run found; `seconds` is how long it took."""

    results: tuple[Result, ...]
    seconds: float

    @property
    def is_safe(self) -> bool:
        """Whether nothing failed."""
        return not any(result.verdict is Verdict.FAIL for result in self.results)

    @property
    def totals(self) -> dict[str, int]:
        counts = Counter(result.verdict for result in self.results)
        return {verdict.value: counts[verdict] for verdict in Verdict}

    def result(self, name: str) -> Result:
        """The result of one check; KeyError where it did not run."""
        return {result.name: result for result in self.results}[name]

    def as_json(self) -> dict[str, Any]:
        return {
            "is_safe": self.is_safe,
            "seconds": round(self.seconds, 2),
            "totals": self.totals,
            "checks": [result.as_json() for result in self.results],
        }


def skipped(name: str, claim: str, why: str) -> Result:
    """The result of a check that could not be made here."""
    return Result(name, claim, "", (Outcome("", Verdict.SKIP, why),))


def render_result(result: Result, *, verbose: bool = False) -> str:
    """One line; below a failure its dialogue and the remedy. Not yet safe for a terminal."""
    lines = [f"{result.verdict:<4}  {result.name:<34} {_summary(result)}".rstrip()]
    if result.verdict in (Verdict.FAIL, Verdict.WARN):
        shown = result.decisive if verbose else result.decisive[:1]
        for outcome in shown:
            lines += _dialogue(outcome, heading=verbose)
        if result.remedy:
            lines.append(f"      remedy: {result.remedy}")
    elif verbose:
        for outcome in result.outcomes:
            lines += _dialogue(outcome, heading=True)
    return "\n".join(lines)


def render_totals(report: Report) -> str:
    """The last line."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.totals.items() if count)
    return f"{counts or 'no checks'} in {report.seconds:.1f} s"


def _summary(result: Result) -> str:
    if result.verdict is Verdict.OK:
        return result.claim
    first, others = result.decisive[0], len(result.decisive) - 1
    where = f" ({first.where}{f' and {others} more' if others else ''})" if first.where else ""
    return f"{first.note}{where}"


def _dialogue(outcome: Outcome, *, heading: bool) -> Sequence[str]:
    lines: Iterable[str] = (f"{outcome.where}: {outcome.note}".rstrip(": "), *outcome.dialogue)
    return [f"        {line}" for line in (lines if heading else outcome.dialogue)]
