"""The sums of a log, or of a piece of one. Two tallies add up; nothing here knows what a log line looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mailctl.maillog.report import OTHERS, Totals

MAX_NAMES = 50_000
"""Names kept in one list; beyond it those counted least are added up under OTHERS."""

HourKey = bytes | tuple[int, bytes]
"""`2026-03-01T06`, or for a stamp without year (years since the log began, `Mar  1 06`)."""

Counts = dict[bytes, int]
Sizes = dict[bytes, int]
"""By name, messages and bytes in one number: MESSAGE for each message, plus its size. It takes half the memory and half
the time of two, and adds up and sorts like a count."""
MESSAGE = 1 << 90

TOTAL_NAMES = tuple(field.name for field in fields(Totals))
RECEIVED, DELIVERED, DEFERRED, BOUNCED, REJECTED = range(5)  # places in the list of an hour
ELSEWHERE = b"-"
"""The key in `routes` of every delivery that is not by smtp(8) to another host."""
NO_TLS = b"none"
"""What `tls=` of a delivery says where there was none, since Postfix 3.11."""
UNRESOLVED = b"?"
"""Begins a level that only the tally before this one knows; the host's name follows."""
_OTHERS = OTHERS.encode()

_LISTS = (
    *("senders", "sender_domains", "recipients", "recipient_domains", "relays"),
    *("reject_classes", "reject_codes", "reject_clients", "probe_rejects", "deferrals", "bounces", "dsn", "delays"),
    *("tls_inbound", "tls_outbound", "sasl_users", "sasl_clients", "warnings"),
    *("remote_levels", "remote_delays", "remote_failures", "remote_retried", "failing_senders", "failing_relays"),
)


Route = tuple[bytes, bytes, bytes, bytes, bytes]
"""Agent and level of TLS, status code, domain, relay, delay of a delivery."""


class Tally:
    """`hours` in the order of the constants above, the rest by name.

    `totals` holds what nothing else tells: see `all_totals`.
    `routes` counts deliveries by where and how, as in Sizes; `digest` takes it apart now and then.
    Names of the `remote_` lists begin with a domain and a NUL; they count only what smtp(8) did.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.unparsed = 0
        self.totals: dict[str, int] = dict.fromkeys(TOTAL_NAMES, 0)
        self.hours: dict[HourKey, list[int]] = {}
        self.routes: dict[Route, int] = {}
        self.senders: Sizes = {}
        self.sender_domains: Sizes = {}
        self.recipients: Sizes = {}
        self.recipient_domains: Sizes = {}
        self.relays: Sizes = {}
        self.reject_classes: Counts = {}
        self.reject_codes: Counts = {}
        self.reject_clients: Counts = {}
        self.probe_rejects: Counts = {}
        self.deferrals: Counts = {}
        self.bounces: Counts = {}
        self.dsn: Counts = {}
        self.delays: Counts = {}
        self.tls_inbound: Counts = {}
        self.tls_outbound: Counts = {}
        self.sasl_users: Counts = {}
        self.sasl_clients: Counts = {}
        self.warnings: Counts = {}
        self.remote_levels: Counts = {}
        self.remote_delays: Counts = {}
        self.remote_failures: Counts = {}
        self.remote_retried: Counts = {}
        self.failing_senders: Counts = {}
        self.failing_relays: Counts = {}

    def values(self) -> dict[str, Any]:
        """All of it as plain values, which marshal(3) hands over fastest."""
        return vars(self)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Tally:
        tally = cls()
        vars(tally).update(values)
        return tally

    def all_totals(self) -> dict[str, int]:
        """By the names of Totals."""
        received, delivered, deferred, bounced, rejected = map(sum, zip([0] * 5, *self.hours.values(), strict=True))
        return self.totals | {
            "received": received,
            "delivered": delivered,
            "deferred": deferred,
            "bounced": bounced,
            "rejected": rejected,
            "bytes_received": parts(sum(self.senders.values()))[1],
            "bytes_delivered": parts(sum(self.recipients.values()))[1],
        }

    def add(self, other: Tally) -> None:
        self.lines += other.lines
        self.unparsed += other.unparsed
        for name, count in other.totals.items():
            self.totals[name] += count
        for hour, counts in other.hours.items():
            here = self.hours.setdefault(hour, [0] * len(counts))
            here[:] = [one + two for one, two in zip(here, counts, strict=True)]
        other.digest()
        for name in _LISTS:
            add_counts(getattr(self, name), getattr(other, name))
        self.limit()

    def take_placed(self) -> Tally:
        """Take out what only means something together with the lines before: hours without a year, levels of TLS."""
        self.digest()
        placed = Tally()
        placed.hours, self.hours = self.hours, {}
        unresolved = [name for name in self.remote_levels if is_unresolved(name)]
        placed.remote_levels = {name: self.remote_levels.pop(name) for name in unresolved}
        return placed

    def limit(self) -> None:
        """Keep every list within MAX_NAMES."""
        self._limit_addresses(self.senders, self.sender_domains)
        self._limit_addresses(self.recipients, self.recipient_domains)
        if len(self.routes) > MAX_NAMES // 2:
            self.digest()
        for name in _LISTS:
            _limit(getattr(self, name))

    def _limit_addresses(self, addresses: Sizes, domains: Sizes) -> None:
        # Domains are added up from the addresses at the end, so those that go leave their domain behind.
        if len(addresses) > MAX_NAMES:
            gone = _drop_smallest(addresses)
            rest = sum(gone.values())
            add_counts(domains, by_domain(gone))
            add_count(addresses, _OTHERS, rest)
            add_count(domains, domain_of(_OTHERS), -rest)

    def digest(self) -> None:
        """Take `routes` apart into relays, delays and what `remote_` lists hold."""
        for (level, dsn, domain, relay, delay), total in self.routes.items():
            messages, _ = parts(total)
            add_count(self.dsn, dsn, messages)
            add_count(self.relays, relay, total)
            add_count(self.delays, delay, messages)
            if level != ELSEWHERE:
                domain = domain.lower()
                # Which level a relay has may be known only to who counted the lines before these.
                suffix = b"\0" + relay if level.startswith(UNRESOLVED) else b""
                add_count(self.remote_levels, domain + b"\0" + level + suffix, messages)
                add_count(self.remote_delays, domain + b"\0" + delay, messages)
        self.routes.clear()


def is_unresolved(name: bytes) -> bool:
    return b"\0" + UNRESOLVED in name


def parts(total: int) -> tuple[int, int]:
    """Messages and bytes of a number in Sizes; both may be negative."""
    messages, size = divmod(total, MESSAGE)
    return (messages, size) if size < MESSAGE // 2 else (messages + 1, size - MESSAGE)


def by_domain(addresses: Mapping[bytes, int]) -> Sizes:
    as_written: Sizes = {}
    for address, total in addresses.items():
        domain = address[address.rfind(b"@") + 1 :] if b"@" in address else b""
        as_written[domain] = as_written.get(domain, 0) + total
    domains: Sizes = {}
    for domain, total in as_written.items():
        add_count(domains, domain.lower(), total)
    return domains


def domain_of(address: bytes) -> bytes:
    """In lower case; empty for the null sender and for what has no domain."""
    return address[address.rfind(b"@") + 1 :].lower() if b"@" in address else b""


def add_counts(sums: Counts, more: Mapping[bytes, int]) -> None:
    for name, count in more.items():
        add_count(sums, name, count)


def add_count(sums: Counts, name: bytes, count: int = 1) -> None:
    sums[name] = sums.get(name, 0) + count


def _drop_smallest(counts: Counts) -> Counts:
    """What was taken out so that half of MAX_NAMES are left; never OTHERS."""
    number = len(counts) - MAX_NAMES // 2
    # Of what counts bytes as well only the messages matter, and few different numbers are sorted faster.
    ranks = {name: total // MESSAGE or total for name, total in counts.items() if name != _OTHERS}
    edge = sorted(ranks.values())[number - 1]
    below = [name for name, rank in ranks.items() if rank < edge]
    at_edge = [name for name, rank in ranks.items() if rank == edge]
    return {name: counts.pop(name) for name in below + at_edge[: number - len(below)]}


def _limit(counts: Counts) -> None:
    if len(counts) > MAX_NAMES:
        add_count(counts, _OTHERS, sum(_drop_smallest(counts).values()))
