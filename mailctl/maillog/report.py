"""What a mail log tells, as values: the keys of the JSON report are the field names of these classes.

Counting makes a Report, the formats print it; neither knows the other. The lists of a Report hold every name
that was counted, up to the cap of the counter; a format shows the first few. Lists are sorted by
messages, most first, then by name. Sizes are bytes, delays are seconds since arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any

FORMAT_VERSION = "1"

OTHERS = "(others)"
"""The name that gathers what came after the cap of a list was reached."""


@dataclass(frozen=True, slots=True)
class Period:
    """Stamps of the first and last line counted, in the log's own time; None for an empty log."""

    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """`parsed` and `unparsed` add up to `total`; a line of a program that is not ours counts as parsed."""

    total: int = 0
    parsed: int = 0
    unparsed: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of the whole log; what each one means is in DEFINITIONS."""

    received: int = 0
    reinjected: int = 0
    internal: int = 0
    delivered: int = 0
    delivered_hops: int = 0
    forwarded: int = 0
    deferred: int = 0
    deferred_messages: int = 0
    bounced: int = 0
    expired: int = 0
    rejected: int = 0
    rejected_4xx: int = 0
    rejected_5xx: int = 0
    reject_warnings: int = 0
    held: int = 0
    discarded: int = 0
    bytes_received: int = 0
    bytes_delivered: int = 0
    removed: int = 0
    sasl_failures: int = 0
    sasl_logins: int = 0
    connections: int = 0
    ndn_sent: int = 0


DEFINITIONS: Mapping[str, str] = {
    "received": "messages taken by smtpd or pickup for the first time that reached the active queue",
    "reinjected": "messages that came back from a content filter or a second instance",
    "internal": "messages Postfix made itself: bounces, forwards, notices",
    "delivered": "recipients with status=sent, hand-overs to a filter or second instance included",
    "delivered_hops": "of these, hand-overs to a filter or second instance",
    "forwarded": "recipients replaced by a local forward",
    "deferred": "attempts that were put off, one for each recipient and attempt",
    "deferred_messages": "messages with at least one such attempt",
    "bounced": "recipients given up because of a permanent failure",
    "expired": "recipients given up because the message was too old, or by force-expire",
    "rejected": "refusals by smtpd, postscreen and cleanup, before the message was taken",
    "rejected_4xx": "of these, with a temporary reply",
    "rejected_5xx": "of these, with a permanent reply",
    "reject_warnings": "refusals that warn_if_reject turned into a warning",
    "held": "messages put on hold",
    "discarded": "messages dropped by an access table, a header check or the discard transport",
    "bytes_received": "sizes of the messages received",
    "bytes_delivered": "sizes of the messages delivered, once for each recipient",
    "removed": "messages that left the queue",
    "sasl_failures": "failed logins",
    "sasl_logins": "messages sent with a login",
    "connections": "SMTP connections to smtpd",
    "ndn_sent": "non-delivery notices made for a sender",
}


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the log's own time; `hour` is YYYY-MM-DDTHH."""

    hour: str
    received: int = 0
    delivered: int = 0
    deferred: int = 0
    bounced: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One name of a list. `bytes` is 0 where the list counts something that has no size."""

    name: str
    messages: int
    bytes: int = 0


Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class Rejects:
    """Names: `<program> <stage>: <reason>` by class, the reply `554 5.7.1` by code, an address by client.

    `probes` are those of `by_class` that mailctl's own probes provoked.
    """

    by_class: Rows = ()
    by_code: Rows = ()
    by_client: Rows = ()
    probes: Rows = ()


@dataclass(frozen=True, slots=True)
class Delay:
    """Nearest-rank percentiles over deliveries with status=sent, in seconds; None where nothing was delivered."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """Established TLS connections. Names of `inbound` and `outbound` are protocols (`TLSv1.3`);
    those of `levels` are Postfix's words for outbound trust (Untrusted, Trusted, Verified, Anonymous)."""

    inbound: Rows = ()
    outbound: Rows = ()
    levels: Rows = ()
    ciphers: Rows = ()


@dataclass(frozen=True, slots=True)
class Sasl:
    """`logins` and `failures` are counts; `by_user` counts logins by name, `by_client` failures by address."""

    logins: int = 0
    failures: int = 0
    by_user: Rows = ()
    by_client: Rows = ()


@dataclass(frozen=True, slots=True)
class DomainDelivery:
    """How one receiving domain treats our mail; only attempts that left by smtp(8) to another host.

    `delivered` counts recipients, `first_try` those of them without an earlier deferral of the same
    queue id and recipient. `tls` counts deliveries over TLS, `levels` by Postfix's word for the trust.
    Names of `reasons` are the replies as in `Report.deferrals` and `Report.bounces`.
    """

    domain: str
    delivered: int = 0
    first_try: int = 0
    deferred: int = 0
    bounced: int = 0
    tls: int = 0
    levels: Rows = ()
    reasons: Rows = ()
    delay: Delay = field(default_factory=Delay)


@dataclass(frozen=True, slots=True)
class Deliverability:
    """Receiving domains by attempts, most first; and the senders and relays of deferred and bounced attempts."""

    domains: tuple[DomainDelivery, ...] = ()
    senders: Rows = ()
    relays: Rows = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything `log-report` prints.

    Names of `deferrals` and `bounces` are the remote's reply or Postfix's own reason with the parts that differ for
    each message (queue ids, addresses) taken out, so that equal causes are one row; `dsn` names are enhanced status
    codes of RFC 3463; names of `warnings` are `<program>: <level>: <text>`.
    """

    period: Period = field(default_factory=Period)
    lines: Lines = field(default_factory=Lines)
    totals: Totals = field(default_factory=Totals)
    by_hour: tuple[Hour, ...] = ()
    senders: Rows = ()
    sender_domains: Rows = ()
    recipients: Rows = ()
    recipient_domains: Rows = ()
    relays: Rows = ()
    rejects: Rejects = field(default_factory=Rejects)
    deferrals: Rows = ()
    bounces: Rows = ()
    dsn: Rows = ()
    delay: Delay = field(default_factory=Delay)
    tls: Tls = field(default_factory=Tls)
    sasl: Sasl = field(default_factory=Sasl)
    warnings: Rows = ()
    deliverability: Deliverability = field(default_factory=Deliverability)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types; stamps in ISO 8601."""
        data: dict[str, Any] = _plain(self)
        data["period"] = {name: stamp and stamp.isoformat() for name, stamp in data["period"].items()}
        return {"format_version": FORMAT_VERSION, **data}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value if isinstance(value, str) or not isinstance(value, Sequence) else tuple(map(_plain, value))
