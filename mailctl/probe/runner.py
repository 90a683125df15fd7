"""Runs checks, many dialogues at once, and ends in time whatever the server does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from mailctl.probe.arena import ANY_CERTIFICATE, Arena, Family, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import DialogueError, Transcript
from mailctl.probe.result import Outcome, Report, Result, Verdict, skipped

MOST_AT_ONCE = 32
GREETING = 220
SURVEYED = (Transport.SMTP, Transport.SUBMISSION, Transport.SUBMISSIONS, Transport.IMAPS)

Announce = Callable[[Result], None]


def run_checks(checks: Sequence[Check], arena: Arena, announce: Announce) -> Report:
    """Run `checks` in the network of the calling thread; disruptive ones at the end, one after the other.

    Each result is announced as soon as it and those before it are known.
    """
    started = time.monotonic()
    reached, open_ports = _survey(arena)
    surveyed = replace(arena, open_ports=open_ports)
    results: list[Result] = []

    def keep(result: Result) -> None:
        results.append(result)
        announce(result)

    keep(reached)
    if open_ports:
        _run_together([check for check in checks if not check.is_disruptive], surveyed, keep)
        for check in checks:
            if check.is_disruptive:
                keep(_run_alone(check, surveyed))
    return Report(tuple(results), time.monotonic() - started)


def _run_together(checks: Sequence[Check], arena: Arena, keep: Announce) -> None:
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        pending: dict[str, list[Future[Outcome]] | str] = {}
        for check in sorted(checks, key=lambda check: not check.waits):
            found = _attempts(check, arena)
            started = found if isinstance(found, str) else [pool.submit(attempt.outcome) for attempt in found]
            pending[check.name] = started
        for check in checks:
            outcomes = pending[check.name]
            if isinstance(outcomes, str):
                keep(skipped(check.name, check.claim, outcomes))
            else:
                keep(_result(check, [outcome.result() for outcome in outcomes]))


def _run_alone(check: Check, arena: Arena) -> Result:
    found = _attempts(check, arena)
    if isinstance(found, str):
        return skipped(check.name, check.claim, found)
    return _result(check, [attempt.outcome() for attempt in found])


def _attempts(check: Check, arena: Arena) -> list[Attempt] | str:
    """What to try, or why nothing can be."""
    try:
        return list(check.attempts(arena))
    except CannotTellError as error:
        return str(error)


def _result(check: Check, outcomes: Iterable[Outcome]) -> Result:
    return Result(check.name, check.claim, check.remedy, tuple(outcomes))


def _survey(arena: Arena) -> tuple[Result, frozenset[tuple[int, Family]]]:
    """Which ports greet; a port that takes connections and says nothing is a failure, a closed one is not."""
    places = [(transport, family) for transport in SURVEYED for family in arena.families]
    attempts = [Attempt(f"{each.port} {family.value}", partial(_greet, arena, each, family)) for each, family in places]
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        outcomes = list(pool.map(Attempt.outcome, attempts))
    is_open = [outcome.verdict is Verdict.OK for outcome in outcomes]
    found = frozenset((place[0].port, place[1]) for place, is_up in zip(places, is_open, strict=True) if is_up)
    if not found:
        outcomes = [replace(outcome, verdict=Verdict.FAIL) for outcome in outcomes]
    remedy = "is the service running, and does a firewall let port 25, 465 and 587 through?"
    return Result("reach.ports", "open ports greet", remedy, tuple(outcomes)), found


def _greet(arena: Arena, transport: Transport, family: Family, transcript: Transcript) -> None:
    try:
        dialogue = arena.connect(transcript, transport, family)
    except DialogueError as error:
        raise CannotTellError(str(error)) from error
    with dialogue:
        if transport.is_wrapped:
            dialogue.start_tls(ANY_CERTIFICATE)
        if transport is Transport.IMAPS:
            return  # it speaks no SMTP: that it speaks TLS is enough
        reply = dialogue.reply()
        if reply.code != GREETING:
            raise RefutedError(f"greeted with {reply}")
