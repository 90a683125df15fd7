"""mailctl tls: the certificates of the spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import ExitCode, Severity, printable

if TYPE_CHECKING:
    from mailctl.components.certificate.pairs import PairReport
    from mailctl.spec.model import Spec

LABELS = {None: ("ok", "green"), Severity.WARNING: ("warn", "yellow"), Severity.ERROR: ("FAIL", "red")}


@click.group()
def tls() -> None:
    """The certificates the spec names."""


@tls.command()
@common_options
@click.pass_obj
def check(session: Session) -> int:
    """Check every certificate: key, names, dates, key size, order of the chain. Exits with 1 where one would fail.

    An apply makes the same checks and stops at a failure before anything live changes.
    """
    spec = session.load_spec()
    found = _reports(session, spec)
    if not session.host.is_root():
        session.say("note: private keys are usually readable by root only")
    text = "\n".join(line for report in found for line in _lines(spec, report))
    session.emit(text, {"certificates": [_as_json(report) for report in found]})
    return ExitCode.FAILED if any(_worst(report) is Severity.ERROR for report in found) else ExitCode.OK


def _reports(session: Session, spec: Spec) -> list[PairReport]:
    from mailctl.components.certificate.pairs import report_pairs, trust_problem

    target = session.target()
    found = report_pairs(session.host, spec, target)
    trust = [trust_problem(session.host, spec, target, report) for report in found]
    return [
        replace(report, problems=(*report.problems, problem)) if problem else report
        for report, problem in zip(found, trust, strict=True)
    ]


def _lines(spec: Spec, report: PairReport) -> Iterator[str]:
    label, color = LABELS[_worst(report)]
    origin = spec.origin(*report.pair.path)
    yield f"{click.style(f'{label:<5}', fg=color)} {report.pair.hostname}  {report.pair.certificate}  {origin}"
    if report.facts:
        names = ", ".join(report.facts.names) or "no names"
        until = f"{report.facts.not_after:%Y-%m-%d}"
        yield printable(f"      {report.facts.key}, until {until}, chain of {len(report.facts.chain)}, for {names}")
    for problem in report.problems:
        yield printable(f"      {problem.severity}: {problem.message}")
        if problem.hint:
            yield printable(f"      hint: {problem.hint}")


def _worst(report: PairReport) -> Severity | None:
    severities = {problem.severity for problem in report.problems}
    return next((each for each in (Severity.ERROR, Severity.WARNING) if each in severities), None)


def _as_json(report: PairReport) -> dict[str, Any]:
    facts = report.facts
    return {
        "hostname": report.pair.hostname,
        "certificate": str(report.pair.certificate),
        "key": str(report.pair.key),
        "names": list(facts.names) if facts else [],
        "not_before": facts.not_before.isoformat() if facts else "",
        "not_after": facts.not_after.isoformat() if facts else "",
        "key_algorithm": facts.algorithm if facts else "",
        "key_bits": facts.bits if facts else 0,
        "chain_length": len(facts.chain) if facts else 0,
        "ok": _worst(report) is not Severity.ERROR,
        "diagnostics": [problem.as_json() for problem in report.problems],
    }
