"""A log, and every number of the report on it, counted by hand: a journey is a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailctl.maillog import summarise
from mailctl.maillog.report import Report

JOURNEYS = sorted(Path(__file__).parent.glob("journeys/*/mail.log"))
MANUAL = Path(__file__).parents[2] / "docs/log-report.md"


@pytest.mark.parametrize("log", JOURNEYS, ids=lambda log: log.parent.name)
def test_every_key_is_what_was_counted_by_hand(log: Path) -> None:
    report = json.loads(json.dumps(summarise(log).as_json()))
    expected = expected_of(log)
    for key in expected:
        assert report[key] == expected[key], key
    assert report.keys() == expected.keys()


def test_no_key_of_a_journey_is_empty() -> None:
    """What is 0 or empty everywhere would be shown right by a report that does not count it."""
    found = [path_and_value for log in JOURNEYS for path_and_value in paths(expected_of(log))]
    assert {path for path, _ in found} == {path for path, value in found if value}


def test_the_manual_defines_every_key() -> None:
    defined = set(re.findall(r"`([a-z_0-9.]+)`", MANUAL.read_text().partition("## The keys of the JSON report")[2]))
    assert {path for path, _ in paths(Report().as_json())} - defined == set()


def expected_of(log: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((log.parent / "report.json").read_text())
    return expected


def paths(value: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """`rejects.by_class` and the like, each with what stands there; totals have definitions of their own."""
    for key, found in value.items():
        if isinstance(found, dict) and key not in ("totals", "period", "lines"):
            yield from paths(found, f"{before}{key}.")
        else:
            yield f"{before}{key}", found
