"""Verdicts for people, programs and monitoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any

from mailctl.dns.changes import Changes
from mailctl.dns.verdict import Level, Verdict

MOST_IN_STATUS = 5


class Status(IntEnum):
    """The exit status of a monitoring plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def render_verdict(verdict: Verdict) -> Iterator[str]:
    """What was found, why it matters, what to publish."""
    yield f"{verdict.level:<7} {verdict.domain}  {verdict.check.code}"
    yield f"        {verdict.found}"
    yield f"        why: {verdict.check.why}"
    if verdict.paste:
        yield "        publish:"
        yield from (f"          {record.zone_line}" for record in verdict.paste)
    if verdict.hint:
        yield f"        hint: {verdict.hint}"


def render_totals(subjects: Sequence[str], verdicts: Iterable[Verdict]) -> str:
    """`3 domains and servers: 1 failed, 0 warnings, 0 unknown`."""
    counts = count_levels(verdicts)
    checked = f"{len(subjects)} domains and servers" if len(subjects) != 1 else "1 domain or server"
    return (
        f"{checked}: {counts[Level.FAIL]} failed, {_plural(counts[Level.WARN], 'warning')}, "
        f"{counts[Level.UNKNOWN]} unknown"
    )


def count_levels(verdicts: Iterable[Verdict]) -> Counter[Level]:
    return Counter(verdict.level for verdict in verdicts)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "domain": verdict.domain,
        "check": verdict.check.code,
        "level": verdict.level.value,
        "name": verdict.name,
        "found": verdict.found,
        "why": verdict.check.why,
        "publish": [record.zone_line for record in verdict.paste],
        "hint": verdict.hint,
    }


def report_json(subjects: Sequence[str], verdicts: Sequence[Verdict], changes: Changes | None) -> dict[str, Any]:
    """The keys of `--json`; with `--changes-only` the verdicts are those that are new."""
    counts = count_levels(verdicts)
    return {
        "checked": list(subjects),
        "totals": {level.value: counts[level] for level in Level},
        "verdicts": [verdict_json(each) for each in (verdicts if changes is None else changes.appeared)],
        "gone": [list(key) for key in changes.gone] if changes else [],
    }


def render_nagios(subjects: Sequence[str], verdicts: Sequence[Verdict]) -> tuple[str, Status]:
    """One line for Nagios and its kin, and the status to exit with."""
    counts = count_levels(verdicts)
    status = Status.OK
    for level, worse in ((Level.UNKNOWN, Status.UNKNOWN), (Level.WARN, Status.WARNING), (Level.FAIL, Status.CRITICAL)):
        if counts[level]:
            status = worse
    worst = sorted(verdicts, key=lambda each: list(Level).index(each.level))
    shown = ", ".join(f"{each.domain} {each.check.code}" for each in worst[:MOST_IN_STATUS])
    more = f" and {len(worst) - MOST_IN_STATUS} more" if len(worst) > MOST_IN_STATUS else ""
    data = " ".join(f"{level}={counts[level]}" for level in Level)
    said = f"{shown}{more}" if worst else render_totals(subjects, verdicts)
    return f"DNS {status.name} - {said} | {data}", status


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
