"""Plans as a person reads them: a case is a folder with the spec before (if any), the spec after, and the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailctl.plan.json import plan_as_json
from mailctl.plan.text import render_summary, render_text
from mailctl.spec.load import load_spec
from tests.unit.apply.conftest import HASH, SPEC, Server, spec_with

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_plan_reads_as_expected(
    case: Path, server: Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(case)
    if Path("before.yml").exists():
        server.apply(load_spec(Path("before.yml")))
    plan = server.plan(load_spec(Path("after.yml")))
    text = f"{render_text(plan)}\n"
    expected = case / "expected.txt"
    if request.config.getoption("--update-golden"):
        expected.write_text(text)
    assert text == expected.read_text()
    assert text.splitlines().count(render_summary(plan)) == 1


def test_no_line_of_a_long_plan_is_lost_with_verbose(server: Server) -> None:
    spec = spec_with(mailboxes={f"user{number}": {"password": {"hash": HASH}} for number in range(100)}, aliases={})
    text = render_text(server.plan(spec), verbose=True)
    assert all(f"+ mailbox user{number}@example.org" in text for number in range(100))
    assert "more" not in text


def test_a_secret_is_in_no_plan(server: Server) -> None:
    server.apply(SPEC)
    changed = spec_with(mailboxes={"ali": {"password": {"hash": HASH.replace("b" * 86, "c" * 86)}}}, aliases={})
    plan = server.plan(changed)
    shown = render_text(plan, verbose=True) + repr(plan_as_json(plan)) + repr(plan)
    assert "b" * 86 not in shown
    assert "c" * 86 not in shown
    assert "(secret: 2 rows changed, not shown)" in shown


def test_a_file_that_somebody_else_wrote_is_not_shown_as_a_diff_of_everything(server: Server) -> None:
    server.host.put("/etc/postfix/main.cf", "".join(f"local_setting_{number} = yes\n" for number in range(46)))
    plan = server.plan(SPEC)
    heading = next(line for line in render_text(plan).splitlines() if "main.cf" in line)
    assert heading.startswith("~ /etc/postfix/main.cf  (rewritten: 46 lines → ")
    assert "-local_setting_1 = yes" not in render_text(plan)
    assert "-local_setting_1 = yes" in render_text(plan, verbose=True)


def test_escape_sequences_of_a_foreign_file_stay_harmless(server: Server) -> None:
    server.host.put("/etc/postfix/main.cf", "# \x1b]0;owned\x07 \u202e\n")
    text = render_text(server.plan(SPEC))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b]0;owned\\x07" in text


def test_json_says_what_the_text_says(server: Server) -> None:
    server.apply(SPEC)
    plan = server.plan(spec_with(aliases={"info": ["ali", "bob"]}))
    data = plan_as_json(plan)
    assert data["empty"] is False
    assert data["effects"] == [
        {
            "action": "change",
            "kind": "alias",
            "name": "info@example.org",
            "detail": "→ ali@example.org, bob@example.org (was ali@example.org)",
            "file": "<spec>",
            "line": 0,
            "column": 0,
        }
    ]
    assert [(file["name"], file["action"]) for file in data["files"]] == [
        ("/etc/postfix/main.cf", "change"),
        ("virtual_alias", "change"),
    ]
    assert data["services"] == [{"service": "Postfix", "action": "reload", "reason": ""}]
    assert data["summary"]["text"] == render_summary(plan)
    assert data["diagnostics"] == []
