"""The life of a message where it is hard to follow; the cases are data."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from recorded_logs import RECORDED, RUNS

from mailctl.maillog.trace import trace
from mailctl.maillog.trace.text import render

CASES = tomllib.loads(Path(__file__).with_name("cases.toml").read_text())["case"]
OWN = [case for case in CASES if "log" in case]
RECORDINGS = [(run, case) for run in RUNS for case in CASES if "recording" in case]


def check(log: bytes, key: str, case: dict[str, Any]) -> None:
    found = trace(lambda: [log], key)
    assert [" ".join(step.kind for step in life.steps) for life in found.lives] == case["lives"]
    text = render(found, 100)
    assert case.get("says", "") in text
    assert "never_says" not in case or case["never_says"] not in text


@pytest.mark.parametrize("case", OWN, ids=lambda case: case["name"])
def test_a_hard_case_is_followed(case: dict[str, Any]) -> None:
    check(case["log"].lstrip().encode(), case["key"], case)


@pytest.mark.parametrize(("run", "case"), RECORDINGS, ids=lambda part: part if isinstance(part, str) else part["name"])
def test_a_recorded_case_is_followed(run: str, case: dict[str, Any]) -> None:
    log = (RECORDED / run / case["recording"] / "mail.log").read_bytes()
    key = re.search(case["key"].encode(), log)
    assert key
    asked = key[1].decode()
    check(log, asked.upper() if case.get("in_capitals") else asked, case)
