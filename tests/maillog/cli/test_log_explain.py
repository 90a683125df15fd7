"""`mailctl log explain`."""

from __future__ import annotations

import json
import subprocess

from tests.maillog.cli.programs import MAILCTL, run


def explain(*words: str) -> subprocess.CompletedProcess[str]:
    return run("log", "explain", *words, program=MAILCTL)


def test_a_reply_is_explained_with_its_next_step_and_source() -> None:
    done = explain("550", "5.7.26", "Unauthenticated email from example.org is not accepted")
    assert done.returncode == 0
    for words in ("Gmail", "SPF", "mailctl dns check", "permanent", "https://support.google.com/"):
        assert words in done.stdout


def test_json_names_the_cause() -> None:
    data = json.loads(explain("--json", "452 4.2.2 mailbox full").stdout)
    assert data["format_version"] == "1"
    assert data["cause"]["name"] == "mailbox-full"
    assert data["permanent"] is False


def test_escape_sequences_of_a_reply_do_not_reach_the_terminal() -> None:
    for option in ([], ["--json"]):
        assert "\x1b" not in explain(*option, "--", "550 \x1b[2Jno").stdout


def test_nothing_to_explain_is_a_usage_error() -> None:
    assert explain().returncode == 64
