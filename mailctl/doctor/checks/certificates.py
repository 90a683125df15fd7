"""The certificates of the spec: days left, what is wrong with them, and whether the services show the newest."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.certificate.pairs import PairReport, report_pairs
from mailctl.doctor.checks.ports import IMAPS, SMTP, open_ports
from mailctl.doctor.handshake import first_certificate, served_certificate
from mailctl.doctor.model import Finding, Patient, Verdict, fail, ok
from mailctl.errors import Severity, UnfitError
from mailctl.spec.model import Spec

VERDICTS = {Severity.ERROR: Verdict.FAIL, Severity.WARNING: Verdict.WARN}
RELOADS = {SMTP: "systemctl reload postfix", IMAPS: "doveadm reload"}


def look(patient: Patient, spec: Spec) -> Iterator[Finding]:
    reports = report_pairs(patient.host, spec, patient.target)
    found = [finding for report in reports for finding in _problems(report)]
    if patient.host.is_live():
        found += _stale(patient, spec, reports[0])
    yield from found
    if not found:
        days = min((report.facts.not_after - patient.now).days for report in reports if report.facts)
        names = ", ".join(report.pair.hostname for report in reports)
        yield ok("certificates", f"{names}: valid for {days} days")


def _problems(report: PairReport) -> Iterator[Finding]:
    for problem in report.problems:
        remedy = problem.hint or "mailctl tls check"
        yield Finding(VERDICTS[problem.severity], report.pair.hostname, problem.message, remedy)


def _stale(patient: Patient, spec: Spec, report: PairReport) -> Iterator[Finding]:
    """Services that still show another certificate than the one on the disk: it was renewed, and nobody told them."""
    ours = first_certificate(patient.host.read(report.pair.certificate) or b"")
    for port in set(open_ports(spec)) & set(RELOADS):
        try:
            served = served_certificate(patient.host, port, report.pair.hostname)
        except UnfitError:
            served = None  # check `ports` says so
        if ours and served and served.split() != ours.split():
            text = f"port {port.number} shows another certificate than {report.pair.certificate}"
            yield fail(f"port {port.number}", text, RELOADS[port])
