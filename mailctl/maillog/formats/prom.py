"""Counters for Prometheus, in the text format of the node exporter's textfile collector.

A counter may only grow. What a run of `log-report --state` reads is an increment, so the sums live in the state
file, written in the same step as the positions in the logs: `grown` adds a report to them, `render` prints them.
Names are those of kumina's postfix_exporter where the meaning is the same, and `mailctl_mail_*` elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from mailctl.maillog.formats.safe import label
from mailctl.maillog.report import DEFINITIONS, OTHERS, Report, Rows

MOST_VALUES = 100
"""Label values of one metric; the rest is counted as OTHERS, so that an attacker cannot make time series."""

FAMILY_SEPARATOR = "\t"
OWED = f"owed{FAMILY_SEPARATOR}"


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    help: str
    label: str = ""


# The key before the separator is the family in the stored sums.
METRICS: Mapping[str, _Metric] = {
    **{name: _Metric(f"mailctl_mail_{name}_total", text[0].upper() + text[1:]) for name, text in DEFINITIONS.items()},
    "connections": _Metric("postfix_smtpd_connects_total", "SMTP connections to smtpd"),
    "removed": _Metric("postfix_qmgr_messages_removed_total", "Messages that left the queue"),
    "sasl_failures": _Metric("postfix_smtpd_sasl_authentication_failures_total", "Failed logins"),
    "unparsed": _Metric("postfix_unsupported_log_entries_total", "Log lines that were not understood"),
    "lines": _Metric("mailctl_mail_log_lines_total", "Log lines read"),
    "rejected_by_code": _Metric("mailctl_mail_rejected_by_code_total", "Refusals by reply", "code"),
    "dsn": _Metric("mailctl_mail_attempts_total", "Delivery attempts by enhanced status code", "dsn"),
    "tls_inbound": _Metric("mailctl_mail_tls_inbound_total", "TLS connections from clients", "protocol"),
    "tls_outbound": _Metric("mailctl_mail_tls_outbound_total", "TLS connections to servers", "protocol"),
}

GAUGES = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99", "max": "1"}


def grown(sums: Mapping[str, int], report: Report) -> dict[str, int]:
    """The sums so far and the counts of `report`; what a state file keeps between runs."""
    result = dict(sums)
    known = {family: _values_of(result, family) for family in METRICS}
    for family, value, number in _counts(report):
        values = known[family]
        if METRICS[family].label and value not in values and len(values) >= MOST_VALUES:
            value = OTHERS
        values.add(value)
        _grow(result, f"{family}{FAMILY_SEPARATOR}{value}", number)
    return result


def _grow(sums: dict[str, int], key: str, number: int) -> None:
    """Add, but never go back: a message that turns out to be re-injected takes one from `received` later."""
    number -= sums.pop(f"{OWED}{key}", 0)
    if number < 0:
        sums[f"{OWED}{key}"] = -number
    sums[key] = sums.get(key, 0) + max(number, 0)


def _values_of(sums: Mapping[str, int], family: str) -> set[str]:
    prefix = f"{family}{FAMILY_SEPARATOR}"
    return {key.removeprefix(prefix) for key in sums if key.startswith(prefix)}


def _counts(report: Report) -> Iterator[tuple[str, str, int]]:
    """Family, label value, number."""
    for name, number in asdict(report.totals).items():
        yield name, "", number
    yield "lines", "", report.lines.total
    yield "unparsed", "", report.lines.unparsed
    lists: dict[str, Rows] = {
        "rejected_by_code": report.rejects.by_code,
        "dsn": report.dsn,
        "tls_inbound": report.tls.inbound,
        "tls_outbound": report.tls.outbound,
    }
    for family, rows in lists.items():
        for row in rows:
            yield family, row.name, row.messages


def render(sums: Mapping[str, int], report: Report) -> str:
    """The metrics; `sums` are those of `grown`, `report` gives the delays of what was read last."""
    return "\n".join([*_counters(sums), *_delays(report), *_when(report)])


def _counters(sums: Mapping[str, int]) -> Iterator[str]:
    for family, metric in METRICS.items():
        values = sorted(_values_of(sums, family))
        if not values:
            continue
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} counter"
        for value in values:
            labels = f"{{{metric.label}={label(value)}}}" if metric.label else ""
            yield f"{metric.name}{labels} {sums[f'{family}{FAMILY_SEPARATOR}{value}']}"


def _delays(report: Report) -> Iterator[str]:
    delays = asdict(report.delay)
    if delays["max"] is None:
        return
    yield "# HELP mailctl_mail_delay_seconds Delay of the deliveries read last, by nearest-rank percentile"
    yield "# TYPE mailctl_mail_delay_seconds gauge"
    for name, rank in GAUGES.items():
        yield f'mailctl_mail_delay_seconds{{rank="{rank}"}} {delays[name]}'


def _when(report: Report) -> Iterator[str]:
    yield "# HELP mailctl_mail_report_timestamp_seconds When this report was made"
    yield "# TYPE mailctl_mail_report_timestamp_seconds gauge"
    yield f"mailctl_mail_report_timestamp_seconds {time.time():.0f}"
