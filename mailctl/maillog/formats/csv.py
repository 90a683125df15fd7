"""The report as one table for spreadsheets: section, name, messages, bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict

from mailctl.maillog.formats import Style
from mailctl.maillog.formats.hours import COUNTED
from mailctl.maillog.formats.limit import limited
from mailctl.maillog.formats.safe import csv_cell
from mailctl.maillog.report import Report, Rows

HEADER = ("section", "name", "value", "bytes")

Cells = tuple[str | float | int | None, ...]


def render(report: Report, style: Style) -> str:
    """RFC 4180, but with the line end of the system; no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for cells in _rows(limited(report, style.limits)):
        writer.writerow([csv_cell(cell) for cell in cells])
    return text.getvalue().rstrip("\n")


def _rows(report: Report) -> Iterator[Cells]:
    data = asdict(report)
    for name, stamp in report.as_json()["period"].items():
        yield "period", name, stamp, None
    for section in ("lines", "totals", "delay"):
        for name, value in data[section].items():
            yield section, name, value, None
    for hour in report.by_hour:
        for field in COUNTED:
            yield f"by_hour.{field}", hour.hour, getattr(hour, field), None
    for section, rows in named_lists(report):
        for row in rows:
            yield section, row.name, row.messages, row.bytes
    for domain in report.deliverability.domains:
        for field in ("delivered", "first_try", "deferred", "bounced", "tls"):
            yield f"deliverability.{field}", domain.domain, getattr(domain, field), None
        for field, delay in asdict(domain.delay).items():
            yield f"deliverability.delay.{field}", domain.domain, delay, None


def named_lists(report: Report) -> Iterator[tuple[str, Rows]]:
    """Every list of rows with its path in the JSON report."""
    for section in ("senders", "sender_domains", "recipients", "recipient_domains", "relays"):
        yield section, getattr(report, section)
    for section in ("deferrals", "bounces", "dsn", "warnings"):
        yield section, getattr(report, section)
    for group, names in (
        ("rejects", ("by_class", "by_code", "by_client")),
        ("sasl", ("by_user", "by_client")),
        ("tls", ("inbound", "outbound", "levels", "ciphers")),
        ("deliverability", ("senders", "relays")),
    ):
        for name in names:
            yield f"{group}.{name}", getattr(getattr(report, group), name)
