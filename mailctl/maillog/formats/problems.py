"""What in a report asks for a person, most urgent first, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from mailctl.maillog.explain import Cause, explain, group_by_cause
from mailctl.maillog.report import DomainDelivery, Report, Row, Rows

FAILED_LOGINS = 20
"""From so many failures on somebody guesses passwords; fewer are typing errors."""

LOGIN_FAILED = "authentication failed"

UNPARSED_SHARE = 0.001
"""Of all lines; fewer are torn lines, as every log has them."""

# Refusals for these causes are the server doing its work.
ORDINARY_REJECTS = frozenset(
    {"unknown-recipient", "relay-denied", "reputation", "helo", "reverse-dns", "greylisting", "sender-address", "dns"}
    | {"content", "policy", "protocol", "login", "unknown"}
)


class Urgency(IntEnum):
    """Sorts findings: what stops mail, what delays or loses some of it, what to know."""

    CRITICAL = 0
    WARNING = 1
    NOTICE = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """`count` of `what`, why, what to do, and the rows it comes from."""

    urgency: Urgency
    count: int
    what: str
    why: str
    next_step: str
    rows: Rows = ()


def find_problems(report: Report) -> tuple[Finding, ...]:
    """Findings by urgency, then by count."""
    found = [
        *_warnings(report),
        *_failed("bounced", report.bounces, Urgency.WARNING),
        *_failed("deferred", report.deferrals, Urgency.WARNING),
        *_rejects(report),
        *_logins(report),
        *_unparsed(report),
    ]
    return tuple(sorted(found, key=lambda finding: (finding.urgency, -finding.count, finding.what)))


def causes_of(domain: DomainDelivery) -> tuple[tuple[Cause, int], ...]:
    """Why a domain put mail off or refused it; the most frequent cause first."""
    return tuple((cause, _sum(rows)) for cause, rows in group_by_cause(domain.reasons))


def _warnings(report: Report) -> Iterator[Finding]:
    grave = tuple(row for row in report.warnings if _level(row) in ("fatal", "panic", "error"))
    # Failed logins have a finding of their own.
    mild = tuple(row for row in report.warnings if row not in grave and LOGIN_FAILED not in row.name)
    if grave:
        step = "The programs named below could not go on; the text says why. Run `mailctl doctor`."
        yield Finding(Urgency.CRITICAL, _sum(grave), "fatal", "programs of the mail server gave up", step, grave)
    if mild:
        step = "Read them: one that comes back every hour has a cause that can be removed."
        yield Finding(Urgency.NOTICE, _sum(mild), "warnings", "programs of the mail server complained", step, mild)


def _level(row: Row) -> str:
    """The level in `<program>: <level>: <text>`."""
    return row.name.partition(": ")[2].partition(":")[0]


def _failed(what: str, rows: Rows, urgency: Urgency) -> Iterator[Finding]:
    for cause, found in group_by_cause(rows):
        yield Finding(_urgency_of(cause, urgency), _sum(found), what, cause.title, _step(found, cause), found)


def _urgency_of(cause: Cause, otherwise: Urgency) -> Urgency:
    if cause.name in ("local-system", "loop"):
        return Urgency.CRITICAL
    return Urgency.NOTICE if cause.name == "greylisting" else otherwise


def _rejects(report: Report) -> Iterator[Finding]:
    for cause, found in group_by_cause(report.rejects.by_class):
        if cause.name not in ORDINARY_REJECTS:
            yield Finding(
                _urgency_of(cause, Urgency.WARNING), _sum(found), "rejected", cause.title, cause.next_step, found
            )


def _logins(report: Report) -> Iterator[Finding]:
    failures = report.sasl.failures
    if failures >= FAILED_LOGINS:
        step = (
            "Block the addresses below (fail2ban or the firewall) and see whether a login of the guessed names worked."
        )
        yield Finding(
            Urgency.WARNING, failures, "failed logins", "somebody guesses passwords", step, report.sasl.by_client
        )


def _unparsed(report: Report) -> Iterator[Finding]:
    lines = report.lines
    if lines.unparsed > lines.total * UNPARSED_SHARE:
        step = "Totals may miss what these lines say: write them out with --unparsed FILE and report them."
        yield Finding(Urgency.NOTICE, lines.unparsed, "lines", "not understood by this report", step)


def _step(rows: Rows, cause: Cause) -> str:
    """The remedy of the most frequent wording, which knows more than its cause."""
    return explain(rows[0].name).next_step if rows else cause.next_step


def _sum(rows: Rows) -> int:
    return sum(row.messages for row in rows)
