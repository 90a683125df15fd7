"""A report cut to the names a format shows."""

from __future__ import annotations

from dataclasses import replace

from mailctl.maillog.formats import Limits
from mailctl.maillog.report import Deliverability, Report


def limited(report: Report, limits: Limits) -> Report:
    """The same totals, with every list cut to its limit."""
    found, rejects, sasl = report.deliverability, report.rejects, report.sasl
    domains = tuple(replace(domain, reasons=domain.reasons[: limits.bounces]) for domain in found.domains)
    return replace(
        report,
        senders=report.senders[: limits.users],
        sender_domains=report.sender_domains[: limits.hosts],
        recipients=report.recipients[: limits.users],
        recipient_domains=report.recipient_domains[: limits.hosts],
        relays=report.relays[: limits.relays],
        rejects=replace(
            rejects,
            by_class=rejects.by_class[: limits.rejects],
            by_code=rejects.by_code[: limits.rejects],
            by_client=rejects.by_client[: limits.hosts],
            probes=rejects.probes[: limits.rejects],
        ),
        deferrals=report.deferrals[: limits.deferrals],
        bounces=report.bounces[: limits.bounces],
        sasl=replace(sasl, by_user=sasl.by_user[: limits.users], by_client=sasl.by_client[: limits.hosts]),
        warnings=report.warnings[: limits.warnings],
        deliverability=Deliverability(
            domains[: limits.hosts], found.senders[: limits.users], found.relays[: limits.relays]
        ),
    )
