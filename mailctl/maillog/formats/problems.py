"""What in a report asks for a person, most urgent first, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial

from mailctl.maillog.explain import Cause, Explanation, explain, group_by_cause
from mailctl.maillog.formats import numbers
from mailctl.maillog.probes import is_probe
from mailctl.maillog.report import DomainDelivery, Report, Row, Rows

FAILED_LOGINS = 20
"""From so many failures on somebody guesses passwords; fewer are typing errors."""

LOGIN_FAILED = "authentication failed"
GRAVE = frozenset({"fatal", "panic", "error"})

_attempt = partial(explain, is_reply=True)
_bounce = partial(explain, is_reply=True, given_up=True)
_refusal = partial(explain, given_up=True)

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
        *_failed("bounced", report.bounces, _bounce),
        *_failed("deferred", report.deferrals, _attempt),
        *_rejects(report),
        *_logins(report),
        *_unparsed(report),
    ]
    return tuple(sorted(found, key=lambda finding: (finding.urgency, -finding.count, finding.what)))


def causes_of(domain: DomainDelivery) -> tuple[tuple[Cause, int], ...]:
    """Why a domain put mail off or refused it; the most frequent cause first."""
    return tuple((cause, _sum(rows)) for cause, rows in group_by_cause(domain.reasons, _attempt))


def _warnings(report: Report) -> Iterator[Finding]:
    named, others = _faults(report.warnings)
    for fault, rows in named.items():
        is_grave = any(_level(row) in GRAVE for row in rows)
        what, urgency = ("fatal", Urgency.CRITICAL) if is_grave else ("warned", Urgency.WARNING)
        yield Finding(urgency, _sum(rows), what, fault.meaning, fault.next_step, rows)
    grave = tuple(row for row in others if _level(row) in GRAVE)
    # Failed logins have a finding of their own.
    mild = tuple(row for row in others if row not in grave and LOGIN_FAILED not in row.name)
    if grave:
        step = "These programs could not go on; the text says why, and so do the lines before it in the log."
        yield Finding(Urgency.CRITICAL, _sum(grave), "fatal", "programs of the mail server gave up", step, grave)
    if mild:
        step = "Read them: one that comes back every hour has a cause that can be removed."
        what = numbers.noun(_sum(mild), "warning")
        yield Finding(Urgency.NOTICE, _sum(mild), what, "programs of the mail server complained", step, mild)


def _faults(rows: Rows) -> tuple[dict[Explanation, Rows], Rows]:
    """The rows that tell of a known fault of this server, by that fault; and the others."""
    named: dict[Explanation, Rows] = {}
    others = []
    for row in rows:
        fault = explain(row.name)
        if fault.cause.name == "local-system":
            # Codes in the text do not make another fault of it.
            fault = replace(fault, reply="", enhanced="")
            named[fault] = (*named.get(fault, ()), row)
        else:
            others.append(row)
    return named, tuple(others)


def _level(row: Row) -> str:
    """The level in `<program>: <level>: <text>`."""
    return row.name.partition(": ")[2].partition(":")[0]


def _failed(what: str, rows: Rows, how: Callable[[str], Explanation]) -> Iterator[Finding]:
    for cause, found in group_by_cause(rows, how):
        # The remedy of the most frequent wording knows more than its cause.
        step = how(found[0].name).next_step
        yield Finding(_urgency_of(cause, Urgency.WARNING), _sum(found), what, cause.title, step, found)


def _urgency_of(cause: Cause, otherwise: Urgency) -> Urgency:
    if cause.name in ("local-system", "loop"):
        return Urgency.CRITICAL
    return Urgency.NOTICE if cause.name == "greylisting" else otherwise


def _rejects(report: Report) -> Iterator[Finding]:
    for cause, found in group_by_cause(_without(report.rejects.by_class, report.rejects.probes)):
        if cause.name not in ORDINARY_REJECTS:
            step = _refusal(found[0].name).next_step
            yield Finding(_urgency_of(cause, Urgency.WARNING), _sum(found), "rejected", cause.title, step, found)


def _logins(report: Report) -> Iterator[Finding]:
    failures = report.sasl.failures - _probe_logins(report)
    if failures >= FAILED_LOGINS:
        step = "Block these addresses (fail2ban or the firewall) and see whether a login of the guessed names worked."
        clients = tuple(row for row in report.sasl.by_client if not _is_probe(row))
        yield Finding(Urgency.WARNING, failures, "failed logins", "somebody guesses passwords", step, clients)


def of_probes(report: Report) -> str:
    """What of the report is mailctl's own probes and therefore no problem, in one line; empty where nothing is."""
    rejected, logins = _sum(report.rejects.probes), _probe_logins(report)
    counts = ((rejected, "refusal"), (logins, "failed login"))
    said = " and ".join(numbers.counted(number, noun) for number, noun in counts if number)
    return said and f"{said} of mailctl's own probes left out"


def _probe_logins(report: Report) -> int:
    return _sum(tuple(filter(_is_probe, report.sasl.by_client)))


def _is_probe(row: Row) -> bool:
    return is_probe(row.name.encode(errors="replace"))


def _without(rows: Rows, others: Rows) -> Rows:
    less = {row.name: row.messages for row in others}
    rest = (replace(row, messages=row.messages - less.get(row.name, 0)) for row in rows)
    return tuple(sorted((row for row in rest if row.messages > 0), key=lambda row: (-row.messages, row.name)))


def _unparsed(report: Report) -> Iterator[Finding]:
    lines = report.lines
    if lines.unparsed > lines.total * UNPARSED_SHARE:
        step = "Totals may miss what these lines say: write them out with --unparsed FILE and report them."
        what = numbers.noun(lines.unparsed, "line")
        yield Finding(Urgency.NOTICE, lines.unparsed, what, "not understood by this report", step)


def _sum(rows: Rows) -> int:
    return sum(row.messages for row in rows)
