"""Verdicts and how they are shown."""

from __future__ import annotations

import pytest

from mailctl.probe.arena import Arena
from mailctl.probe.check import Attempt, CannotTellError, Check, DoubtError, RefutedError
from mailctl.probe.dialogue import DialogueError, Transcript
from mailctl.probe.result import Outcome, Report, Result, Verdict, render_result, render_totals

OK = Outcome("25 IPv4", Verdict.OK)
FAILED = Outcome("25 IPv6", Verdict.FAIL, "RCPT TO:<x@y> was answered '250 ok'", ("-> RCPT TO:<x@y>", "<- 250 ok"))


def result(*outcomes: Outcome) -> Result:
    return Result("relay.stranger", "a stranger cannot send to a stranger", "look at mynetworks", outcomes)


def test_one_failed_attempt_fails_the_check() -> None:
    assert result(OK, FAILED, OK).verdict is Verdict.FAIL
    assert result(OK, Outcome("", Verdict.WARN)).verdict is Verdict.WARN
    assert result(Outcome("", Verdict.SKIP), OK).verdict is Verdict.OK


def test_a_failure_shows_its_dialogue_and_the_remedy() -> None:
    assert render_result(result(OK, FAILED, FAILED)).splitlines() == [
        "FAIL  relay.stranger                     RCPT TO:<x@y> was answered '250 ok' (25 IPv6 and 1 more)",
        "        -> RCPT TO:<x@y>",
        "        <- 250 ok",
        "      remedy: look at mynetworks",
    ]


def test_what_holds_is_one_line() -> None:
    assert render_result(result(OK)) == "ok    relay.stranger                     a stranger cannot send to a stranger"


def test_a_report_is_safe_unless_something_failed() -> None:
    safe = Report((result(OK), result(Outcome("", Verdict.SKIP, "no login"))), 1.23)
    assert safe.is_safe
    assert render_totals(safe) == "1 ok, 1 skip in 1.2 s"
    assert not Report((result(FAILED),), 1).is_safe
    assert safe.as_json()["totals"] == {"FAIL": 0, "warn": 0, "ok": 1, "skip": 1}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (RefutedError("seen"), Verdict.FAIL),
        (DialogueError("seen"), Verdict.FAIL),
        (OSError(5, "seen"), Verdict.FAIL),
        (DoubtError("seen"), Verdict.WARN),
        (CannotTellError("seen"), Verdict.SKIP),
    ],
)
def test_what_an_attempt_raises_is_its_verdict(error: Exception, verdict: Verdict) -> None:
    def run(transcript: Transcript) -> None:
        transcript.append("-> EHLO me")
        raise error

    outcome = Attempt("25 IPv4", run).outcome()
    assert (outcome.verdict, outcome.note, outcome.dialogue) == (verdict, "seen", ("-> EHLO me",))


def test_the_family_is_in_the_name() -> None:
    def attempts(arena: Arena) -> list[Attempt]:
        return []

    assert Check("tls.versions", "", "", attempts).family == "tls"
