"""From the sums of a log to its Report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from math import ceil

from mailctl.maillog.count import Counting
from mailctl.maillog.ranked import Ranked, ordered, text_of
from mailctl.maillog.report import (
    Delay,
    Deliverability,
    DomainDelivery,
    Hour,
    Lines,
    Period,
    Rejects,
    Report,
    Rows,
    Sasl,
    Tls,
    Totals,
)
from mailctl.maillog.stamps import name_of_hour, parse_stamp
from mailctl.maillog.tally import Counts, Sizes, Tally, add_count, add_counts, by_domain


def make_report(counting: Counting, newest: datetime, zone: tzinfo | None = None) -> Report:
    """The report of everything counted.

    Args:
        newest: the log's last line is not later; only asked when no stamp has a year.
        zone: of stamps without an offset.
    """
    tally = counting.tally
    tally.digest()
    base = counting.years.base(newest)
    return Report(
        period=Period(*(parse_stamp(line, base + passed, zone) for passed, line in counting.ends)),
        lines=Lines(tally.lines, tally.lines - tally.unparsed, tally.unparsed),
        totals=Totals(**tally.all_totals()),
        by_hour=_hours(tally, base),
        senders=Ranked(tally.senders),
        sender_domains=_domains(tally.senders, tally.sender_domains),
        recipients=Ranked(tally.recipients),
        recipient_domains=_domains(tally.recipients, tally.recipient_domains),
        relays=Ranked(tally.relays),
        rejects=Rejects(
            _rows(tally.reject_classes),
            _rows(tally.reject_codes),
            _rows(tally.reject_clients),
            _rows(tally.probe_rejects),
        ),
        deferrals=_rows(tally.deferrals),
        bounces=_rows(tally.bounces),
        dsn=_rows(tally.dsn),
        delay=_delay(tally.delays),
        tls=_tls(tally),
        sasl=Sasl(
            tally.totals["sasl_logins"],
            tally.totals["sasl_failures"],
            _rows(tally.sasl_users),
            _rows(tally.sasl_clients),
        ),
        warnings=_rows(tally.warnings),
        deliverability=_deliverability(tally),
    )


def _rows(counts: Mapping[bytes, int]) -> Rows:
    return ordered((text_of(name), count, 0) for name, count in counts.items())


def _domains(addresses: Sizes, domains: Sizes) -> Rows:
    sums: Sizes = {}
    add_counts(sums, domains)
    add_counts(sums, by_domain(addresses))
    return Ranked(sums)


def _hours(tally: Tally, base: int) -> tuple[Hour, ...]:
    sums: dict[str, list[int]] = {}
    for hour, counts in tally.hours.items():
        name = name_of_hour(hour, base)  # the same for both forms of a stamp
        sums[name] = [one + two for one, two in zip(sums.get(name, [0] * len(counts)), counts, strict=True)]
    return tuple(Hour(name, *counts) for name, counts in sorted(sums.items()))


def _delay(counts: Mapping[bytes, int]) -> Delay:
    """Nearest rank: the smallest delay that is not below the given share of all."""
    sums: dict[float, int] = {}
    for text, count in counts.items():
        seconds = _seconds(text)
        if seconds is not None:
            sums[seconds] = sums.get(seconds, 0) + count
    if not sums:
        return Delay()
    total = sum(sums.values())
    ranks = [ceil(total * percent / 100) for percent in (50, 90, 95, 99)]
    found: list[float] = []
    passed = 0
    for seconds in sorted(sums):
        passed += sums[seconds]
        while len(found) < len(ranks) and ranks[len(found)] <= passed:
            found.append(seconds)
    p50, p90, p95, p99 = found
    return Delay(p50, p90, p95, p99, max(sums))


def _seconds(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None  # two dots, or the row of what was over the limit


def _tls(tally: Tally) -> Tls:
    inbound: Counts = {}
    outbound: Counts = {}
    levels: Counts = {}
    ciphers: Counts = {}
    for text, count in tally.tls_inbound.items():
        add_count(inbound, text.partition(b" ")[0], count)
        add_count(ciphers, _cipher(text), count)
    for text, count in tally.tls_outbound.items():
        level, _, connection = text.partition(b" ")
        add_count(levels, level, count)
        add_count(outbound, connection.partition(b" ")[0], count)
        add_count(ciphers, _cipher(connection), count)
    return Tls(_rows(inbound), _rows(outbound), _rows(levels), _rows(ciphers))


def _cipher(text: bytes) -> bytes:
    return text.partition(b" with cipher ")[2].partition(b" ")[0]


def _deliverability(tally: Tally) -> Deliverability:
    levels = _by_first_part(tally.remote_levels)
    delays = _by_first_part(tally.remote_delays)
    failures = _by_first_part(tally.remote_failures)
    domains = (
        _domain_delivery(
            domain,
            levels.get(domain, {}),
            delays.get(domain, {}),
            failures.get(domain, {}),
            tally.remote_retried.get(domain, 0),
        )
        for domain in {**levels, **failures}
    )
    return Deliverability(
        domains=tuple(sorted(domains, key=lambda one: (-(one.delivered + one.deferred + one.bounced), one.domain))),
        senders=_rows(tally.failing_senders),
        relays=_rows(tally.failing_relays),
    )


def _by_first_part(counts: Counts) -> dict[bytes, Counts]:
    parts: dict[bytes, Counts] = {}
    for name, count in counts.items():
        first, _, rest = name.partition(b"\0")
        parts.setdefault(first, {})[rest] = count
    return parts


def _domain_delivery(domain: bytes, levels: Counts, delays: Counts, failures: Counts, retried: int) -> DomainDelivery:
    delivered = sum(levels.values())
    used = {level: count for level, count in levels.items() if level}
    by_status: dict[bytes, int] = {}
    reasons: Counts = {}
    for name, count in failures.items():
        status, _, reason = name.partition(b"\0")
        add_count(by_status, status, count)
        add_count(reasons, reason, count)
    return DomainDelivery(
        domain=text_of(domain),
        delivered=delivered,
        first_try=delivered - retried,
        deferred=by_status.get(b"deferred", 0),
        bounced=by_status.get(b"bounced", 0),
        tls=sum(used.values()),
        levels=_rows(used),
        reasons=_rows(reasons),
        delay=_delay(delays),
    )
