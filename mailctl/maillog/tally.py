"""The sums of a log, or of a piece of one. Two tallies add up; nothing here knows what a log line looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from mailctl.maillog.report import OTHERS, Totals

MAX_NAMES = 50_000
"""Names kept in one list; beyond it those counted least are added up under OTHERS."""

HourKey = bytes | tuple[int, bytes]
"""`2026-03-01T06`, or for a stamp without year (years since the log began, `Mar  1 06`)."""

Sizes = dict[bytes, list[int]]
"""name -> [messages, bytes]"""
Counts = dict[bytes, int]

TOTAL_NAMES = tuple(field.name for field in fields(Totals))
RECEIVED, DELIVERED, DEFERRED, BOUNCED, REJECTED = range(5)  # places in the list of an hour
ELSEWHERE = b"-"
"""The key in `routes` of every delivery that is not by smtp(8)."""
UNRESOLVED = b"?"
"""Begins a level that only the tally before this one knows; the host's name follows."""
_OTHERS = OTHERS.encode()

_SIZES = ("senders", "sender_domains", "recipients", "recipient_domains", "relays")
_COUNTS = (
    *("reject_classes", "reject_codes", "reject_clients", "deferrals", "bounces", "dsn", "delays"),
    *("tls_inbound", "tls_outbound", "sasl_users", "sasl_clients", "warnings"),
    *("remote_levels", "remote_delays", "remote_failures", "remote_retried", "failing_senders", "failing_relays"),
)


class Tally:
    """`totals` by the names of Totals, `hours` in the order of the constants above, the rest by name.

    `routes` counts deliveries by where and how: agent and level of TLS -> `domain>, relay=R, delay=D` ->
    [messages, bytes]; the key is a piece of the line as it stands, taken apart by `digest` once a block.
    Names of the `remote_` lists begin with a domain and a NUL; they count only what smtp(8) did.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.unparsed = 0
        self.totals: dict[str, int] = dict.fromkeys(TOTAL_NAMES, 0)
        self.hours: dict[HourKey, list[int]] = {}
        self.routes: dict[bytes, Sizes] = {}
        self.senders: Sizes = {}
        self.sender_domains: Sizes = {}
        self.recipients: Sizes = {}
        self.recipient_domains: Sizes = {}
        self.relays: Sizes = {}
        self.reject_classes: Counts = {}
        self.reject_codes: Counts = {}
        self.reject_clients: Counts = {}
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

    def add(self, other: Tally) -> None:
        self.lines += other.lines
        self.unparsed += other.unparsed
        for name, count in other.totals.items():
            self.totals[name] += count
        for hour, counts in other.hours.items():
            here = self.hours.setdefault(hour, [0] * len(counts))
            here[:] = [one + two for one, two in zip(here, counts, strict=True)]
        other.digest()
        for name in _SIZES:
            add_sizes(getattr(self, name), getattr(other, name))
        for name in _COUNTS:
            add_counts(getattr(self, name), getattr(other, name))
        self.limit()

    def limit(self) -> None:
        """Keep every list within MAX_NAMES."""
        self._limit_addresses(self.senders, self.sender_domains)
        self._limit_addresses(self.recipients, self.recipient_domains)
        if sum(map(len, self.routes.values())) > MAX_NAMES // 2:
            self.digest()
        for name in _SIZES:
            _limit_sizes(getattr(self, name))
        for name in _COUNTS:
            _limit_counts(getattr(self, name))

    def _limit_addresses(self, addresses: Sizes, domains: Sizes) -> None:
        # Domains are added up from the addresses at the end, so those that go leave their domain behind.
        if len(addresses) > MAX_NAMES:
            gone = _drop_smallest(addresses)
            add_sizes(domains, by_domain(gone))
            add_size(addresses, _OTHERS, *_sum(gone))
            add_size(domains, domain_of(_OTHERS), *(-part for part in _sum(gone)))

    def digest(self) -> None:
        """Take `routes` apart into relays, delays and what `remote_` lists hold."""
        for level, routes in self.routes.items():
            for route, (messages, size) in routes.items():
                place, _, delay = route.rpartition(b", delay=")
                domain, _, relay = place.partition(b">, relay=")
                add_size(self.relays, relay, messages, size)
                add_count(self.delays, delay, messages)
                if level != ELSEWHERE:
                    domain = domain.lower()
                    # Which level a relay has may be known only to who counted the lines before these.
                    suffix = b"\0" + relay if level.startswith(UNRESOLVED) else b""
                    add_count(self.remote_levels, domain + b"\0" + level + suffix, messages)
                    add_count(self.remote_delays, domain + b"\0" + delay, messages)
        self.routes.clear()


def by_domain(addresses: Mapping[bytes, list[int]]) -> Sizes:
    domains: Sizes = {}
    for address, (messages, size) in addresses.items():
        add_size(domains, domain_of(address), messages, size)
    return domains


def domain_of(address: bytes) -> bytes:
    """In lower case; empty for the null sender and for what has no domain."""
    return address[address.rfind(b"@") + 1 :].lower() if b"@" in address else b""


def add_sizes(sums: Sizes, more: Mapping[bytes, list[int]]) -> None:
    for name, (messages, size) in more.items():
        add_size(sums, name, messages, size)


def add_counts(sums: Counts, more: Mapping[bytes, int]) -> None:
    for name, count in more.items():
        add_count(sums, name, count)


def add_count(sums: Counts, name: bytes, count: int = 1) -> None:
    sums[name] = sums.get(name, 0) + count


def add_size(sums: Sizes, name: bytes, messages: int, size: int) -> None:
    if entry := sums.get(name):
        entry[0] += messages
        entry[1] += size
    else:
        sums[name] = [messages, size]


def _sum(sizes: Mapping[bytes, list[int]]) -> tuple[int, int]:
    return sum(messages for messages, _ in sizes.values()), sum(size for _, size in sizes.values())


def _drop_smallest(sizes: Sizes, keep: int = MAX_NAMES // 2) -> Sizes:
    smallest = sorted(sizes, key=lambda name: sizes[name][0])[: len(sizes) - keep]
    return {name: sizes.pop(name) for name in smallest if name != _OTHERS}


def _limit_sizes(sizes: Sizes, most: int = MAX_NAMES) -> None:
    if len(sizes) > most:
        add_size(sizes, _OTHERS, *_sum(_drop_smallest(sizes, most // 2)))


def _limit_counts(counts: Counts) -> None:
    if len(counts) > MAX_NAMES:
        smallest = sorted(counts, key=counts.__getitem__)[: len(counts) - MAX_NAMES // 2]
        gone = sum(counts.pop(name) for name in smallest if name != _OTHERS)
        counts[_OTHERS] = counts.get(_OTHERS, 0) + gone
