"""Logs of real Postfix runs, with the numbers known from what drove them (recording/record.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailctl.maillog import summarise
from mailctl.maillog.report import Totals

RECORDED = Path(__file__).parent / "recorded"
CASES = sorted(RECORDED.glob("*/*/mail.log"))
# Only some drivers know sizes, and none counts what a session says of itself.
UNKNOWN_UNLESS_NAMED = {"bytes_received", "bytes_delivered"}


@pytest.mark.parametrize("log", CASES, ids=lambda log: f"{log.parent.parent.name}-{log.parent.name}")
def test_totals_are_what_the_driver_knows(log: Path) -> None:
    expected = json.loads((log.parent / "expected.json").read_text())
    report = summarise(log)
    found = {name: getattr(report.totals, name) for name in Totals.__dataclass_fields__}
    wanted = {name: expected.get(name, 0) for name in found if name in expected or name not in UNKNOWN_UNLESS_NAMED}
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("log", CASES, ids=lambda log: f"{log.parent.parent.name}-{log.parent.name}")
def test_every_line_is_understood(log: Path) -> None:
    lines = summarise(log).lines
    assert (lines.unparsed, lines.total) == (0, len(log.read_bytes().splitlines()))


def test_there_are_recordings() -> None:
    assert len(CASES) > 40
