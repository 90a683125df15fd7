"""mailctl doctor: the whole server on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.probe import split_names
from mailctl.errors import ExitCode, NeedsRootError, printable

if TYPE_CHECKING:
    from mailctl.doctor import Diagnosis, Finding
    from mailctl.spec.model import Server, Spec

COLORS = {"FAIL": "red", "warn": "yellow", "ok": "green", "skip": "bright_black"}
WORDS = {"FAIL": "failed", "warn": "to look at", "ok": "well", "skip": "not looked at"}
PERFORMANCE = {"FAIL": "failed", "warn": "warnings", "ok": "ok", "skip": "skipped"}
STATE = "doctor.json"
MOST_FINDINGS = 8  # of one check on the screen
NAGIOS = {"ok": (0, "OK"), "skip": (0, "OK"), "warn": (1, "WARNING"), "FAIL": (2, "CRITICAL")}


@click.command()
@common_options
@click.option("--only", metavar="NAMES", help="Only these checks, with commas: dns,queue.")
@click.option("--changes-only", is_flag=True, help="Print only what changed since the last run of this kind.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where --changes-only keeps what it found [/var/lib/mailctl/doctor.json].",
)
@click.option("--nagios", is_flag=True, help="One line and the exit status of a monitoring plugin.")
@click.option("--timeout", type=click.FloatRange(1, 600), default=20, show_default=True, help="Seconds for all checks.")
@click.pass_obj
def doctor(
    session: Session, only: str | None, changes_only: bool, state: Path | None, nagios: bool, timeout: float
) -> int:
    """Examine the server: programs, services, ports, files, certificates, keys, DNS, queue, log, disk, clock.

    Changes nothing. Whatever is wrong comes with the command or the record that mends it. Without root it looks at
    what it can and names the rest. Exits with 1 where something fails; a warning is no failure.
    """
    from mailctl.doctor import Verdict, examine, select_checks

    if changes_only and state is None and session.host.is_live() and not session.host.is_root():
        hint = "run it with sudo, or name a file of your own with --state"
        raise NeedsRootError("only root may keep what was found in /var/lib/mailctl", hint)
    found = examine(session.host, partial(_load_spec, session), select_checks(split_names(only)), longest=timeout)
    if nagios:
        line, status = _nagios(found)
        click.echo(line)
        return status
    if changes_only:
        _show_changes(session, found, state)
    else:
        session.emit("\n".join(_screen(session, found)), {"checks": [_as_json(each) for each in found]})
    return ExitCode.FAILED if any(each.verdict is Verdict.FAIL for each in found) else ExitCode.OK


def _load_spec(session: Session) -> tuple[Spec, tuple[Server, ...]]:
    from mailctl.spec.load import load_servers

    spec = session.load_spec()
    return spec, load_servers(session.find_spec()) if spec.hosts else ()


def _show_changes(session: Session, found: Sequence[Diagnosis], state: Path | None) -> None:
    from mailctl.doctor.changes import news, read_known, write_known
    from mailctl.host import LocalHost
    from mailctl.target import DEBIAN_12

    host = LocalHost() if state else session.host
    path = PurePosixPath(state.absolute()) if state else DEBIAN_12.state_dir / STATE
    known = read_known(host, path)
    fresh = list(news(found, known))
    lines = [line for check, finding in fresh for line in _lines(check, finding)]
    session.emit("\n".join(lines), {"changes": [{"check": check, **_finding(finding)} for check, finding in fresh]})
    write_known(host, path, found, known)


def _screen(session: Session, found: Sequence[Diagnosis]) -> Iterator[str]:
    for diagnosis in found:
        shown = [each for each in diagnosis.findings if not (session.quiet and each.verdict in ("ok", "skip"))]
        limit = len(shown) if session.verbose else MOST_FINDINGS
        for finding in shown[:limit]:
            yield from _lines(diagnosis.check, finding)
        if shown[limit:]:
            yield f"      {len(shown) - limit} more: mailctl doctor -v --only {diagnosis.check}"
    if not session.quiet:
        counts = _counts(found)
        words = ", ".join(f"{counts[verdict]} {word}" for verdict, word in WORDS.items() if counts[verdict])
        yield f"{len(found)} {'check' if len(found) == 1 else 'checks'}: {words}"


def _lines(check: str, finding: Finding) -> Iterator[str]:
    verdict = click.style(f"{finding.verdict:<5}", fg=COLORS[finding.verdict])
    yield f"{verdict} {check:<12} {printable(finding.text)}"
    for number, line in enumerate(finding.remedy.splitlines()):
        yield f"{'':18} {'  ' if number else '->'} {printable(line)}"


def _counts(found: Iterable[Diagnosis]) -> Counter[str]:
    return Counter(str(diagnosis.verdict) for diagnosis in found)


def _nagios(found: Sequence[Diagnosis]) -> tuple[str, int]:
    status, word = max((NAGIOS[diagnosis.verdict] for diagnosis in found), default=NAGIOS["ok"])
    findings = [finding for diagnosis in found for finding in diagnosis.findings]
    worst = [finding.text for finding in findings if status and NAGIOS[finding.verdict][0] == status]
    counts = _counts(found)
    summary = "; ".join(worst) or f"{counts['ok']} checks are well"
    numbers = " ".join(f"{name}={counts[verdict]};;;0" for verdict, name in PERFORMANCE.items())
    return f"DOCTOR {word} - {printable(summary).replace('|', '/')} | {numbers}", status


def _as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "check": diagnosis.check,
        "verdict": diagnosis.verdict.value.lower(),
        "seconds": diagnosis.seconds,
        "findings": [_finding(finding) for finding in diagnosis.findings],
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "verdict": finding.verdict.value.lower(),
        "subject": finding.subject,
        "text": finding.text,
        "remedy": finding.remedy,
    }
