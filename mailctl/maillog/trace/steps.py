"""What a line tells about a message: accepted, signed, tried, given up, removed.

Sources: what parse_line knows of Postfix; opendkim(8); Dovecot's deliver_log_format; delay_logging_resolution_limit
of postconf(5) for the stages of a delay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import singledispatch

from mailctl.maillog.events import (
    Accepted,
    Active,
    Decision,
    Delivery,
    Event,
    Expired,
    LogLine,
    MessageId,
    Note,
    Notice,
    PickedUp,
    Removed,
    Unparsed,
)
from mailctl.maillog.parse import log_line, parse_line


class Kind(StrEnum):
    """What happened; NOTE is a line with no kind of its own."""

    ACCEPTED = "accepted"
    IDENTIFIED = "identified"
    QUEUED = "queued"
    SIGNED = "signed"
    DELIVERED = "delivered"
    FORWARDED = "forwarded"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    REFUSED = "refused"
    WARNED = "warned"
    HELD = "held"
    NOTICE = "notice"
    STORED = "stored"
    REMOVED = "removed"
    NOTE = "note"


EXPLAINED = frozenset({Kind.DEFERRED, Kind.BOUNCED, Kind.EXPIRED, Kind.REFUSED})
"""Kinds whose reply has a cause and a next step."""

GIVEN_UP = frozenset({Kind.BOUNCED, Kind.EXPIRED})
"""Kinds after which Postfix does not try that recipient again."""

STATUS = {
    "sent": Kind.DELIVERED,
    "deferred": Kind.DEFERRED,
    "SOFTBOUNCE": Kind.DEFERRED,
    "bounced": Kind.BOUNCED,
    "undeliverable": Kind.BOUNCED,
    "deliverable": Kind.DELIVERED,
    "expired": Kind.EXPIRED,
    "force-expired": Kind.EXPIRED,
}
ACTIONS = {"reject": Kind.REFUSED, "discard": Kind.REFUSED, "hold": Kind.HELD, "reject_warning": Kind.WARNED}
STAGES = ("before the queue manager", "in the queue", "connecting", "sending")
LONGEST = 16_384
"""Bytes of a line that are looked at."""

SIGNED = re.compile(r"DKIM-Signature field added \(s=(?P<selector>[^,]*), d=(?P<domain>[^)]*)\)")
STORED = re.compile(r"(?P<service>lmtp\([^)]*\)).*?: msgid=(?P<message_id>\S+?): (?P<what>.*)", re.DOTALL)
LINK = re.compile(r"(?:queued|forwarded) as (?P<id>\w{6,})\b")
METHOD = re.compile(r", sasl_method=([^,]*)")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a message's life.

    `order` is the byte of the log at which the line begins; `fields` are its parts, none of them empty; `links` are the
    queue ids of other messages in it.
    """

    order: int
    line: LogLine
    kind: Kind
    fields: dict[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()

    @property
    def is_refusal(self) -> bool:
        return self.kind in (Kind.REFUSED, Kind.WARNED)


Told = tuple[Kind, dict[str, str], tuple[str, ...]]
"""Kind, fields and links of a step."""


def step_of(raw: bytes, order: int = 0) -> Step | None:
    """What a line tells; None only where it has no stamp, host and program: nothing of a message's life is hidden."""
    event = parse_line(raw[:LONGEST])
    line = log_line(event.content) if isinstance(event, Unparsed) else event.line
    if line is None or not line.stamp:
        return None
    kind, fields, links = _told(event)
    return Step(order, line, kind, {name: value for name, value in fields.items() if value}, tuple(filter(None, links)))


@singledispatch
def _told(event: Event) -> Told:
    return Kind.NOTE, {}, ()


@_told.register
def _(event: Delivery) -> Told:
    fields = {
        "recipient": event.recipient,
        "original_recipient": event.original_recipient,
        "relay": event.relay,
        "delay": f"{event.delay:g}",
        "delays": event.delays,
        "tls": event.tls,
        "dsn": event.dsn,
        "status": event.status,
        "reply": event.reply,
    }
    kind = Kind.FORWARDED if event.reply.startswith("forwarded as ") else STATUS.get(event.status, Kind.NOTE)
    return kind, fields, tuple(LINK.findall(event.reply))


@_told.register
def _(event: Accepted) -> Told:
    method = METHOD.search(event.line.text)
    fields = {
        "client": event.client,
        "sasl_username": event.username,
        "sasl_method": method[1] if method else "",
        "original_client": event.original_client,
        "original_id": event.original_id,
    }
    return Kind.ACCEPTED, fields, (event.original_id,)


@_told.register
def _(event: PickedUp) -> Told:
    fields = {"user_id": str(event.user_id), "sender": event.sender, "original_id": event.original_id}
    return Kind.ACCEPTED, fields, (event.original_id,)


@_told.register
def _(event: MessageId) -> Told:
    return Kind.IDENTIFIED, {"message_id": event.message_id}, ()


@_told.register
def _(event: Active) -> Told:
    fields = {"sender": event.sender, "size": str(event.size), "recipients": str(event.recipients)}
    return Kind.QUEUED, fields, ()


@_told.register
def _(event: Notice) -> Told:
    return Kind.NOTICE, {"what": event.kind, "queue_id": event.notice_id}, (event.notice_id,)


@_told.register
def _(event: Decision) -> Told:
    kind = ACTIONS.get(event.action.removeprefix("milter-"), Kind.NOTE)
    return kind, {"action": event.action, "stage": event.stage, "client": event.client, "reply": event.reply}, ()


@_told.register
def _(event: Expired) -> Told:
    return Kind.EXPIRED, {}, ()


@_told.register
def _(event: Removed) -> Told:
    return Kind.REMOVED, {}, ()


@_told.register
def _(event: Note) -> Told:
    if match := SIGNED.match(event.line.text):
        return Kind.SIGNED, match.groupdict(), ()
    if event.line.program == "dovecot" and (match := STORED.fullmatch(event.line.text)):
        return Kind.STORED, match.groupdict(), ()
    return Kind.NOTE, {}, ()
