"""What a line tells about a message: accepted, signed, tried, given up, removed.

Sources: the log lines of smtpd(8), cleanup(8), qmgr(8), smtp(8), bounce(8), postsuper(1), opendkim(8);
delays: delay_logging_resolution_limit of postconf(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from mailctl.maillog.trace.lines import QUEUE_ID, Line


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


@dataclass(frozen=True, slots=True)
class Step:
    """`fields` are the parts of the line by Postfix's names; `links` are the queue ids of other messages in it."""

    line: Line
    kind: Kind
    fields: dict[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()


ADDRESS = r'<([^>"]*|"(?:[^"\\]|\\.)*"[^>]*)>'
DELIVERY = re.compile(
    rf"to={ADDRESS}, (?:orig_to={ADDRESS}, )?relay=(?P<relay>[^,]*), (?P<between>.*?)"
    r"dsn=(?P<dsn>\d\.\d+\.\d+), (?:[a-z_]+=[^,]*, )*?status=(?P<status>[\w-]+)(?: \((?P<reply>.*)\))?.*",
    re.DOTALL,
)
QUEUED = re.compile(rf"from={ADDRESS}, size=(?P<size>\d+), nrcpt=(?P<recipients>\d+).*", re.DOTALL)
RETURNED = re.compile(rf"from={ADDRESS}, status=(?P<status>[\w-]+), returned to sender.*", re.DOTALL)
MESSAGE_ID = re.compile(r"(?:resent-)?message-id=(?P<message_id>.*)", re.DOTALL)
SIGNED = re.compile(r"DKIM-Signature field added \(s=(?P<selector>[^,]*), d=(?P<domain>[^)]*)\)")
STORED = re.compile(r"(?P<agent>lmtp\([^)]*\)).*?: msgid=(?P<message_id>\S+?): (?P<what>.*)", re.DOTALL)
NOTICE = re.compile(rf"(?P<what>[\w -]+ notification): (?P<id>{QUEUE_ID})")
REJECT = re.compile(
    r"(?:NOQUEUE: )?(?P<action>(?:milter-)?(?:reject|reject_warning|hold|discard|redirect)): (?P<what>.*)", re.DOTALL
)
LINKS = (
    re.compile(rf"queued as (?P<id>{QUEUE_ID})\b"),
    re.compile(rf"forwarded as (?P<id>{QUEUE_ID})\b"),
    re.compile(rf"orig_queue_id=(?P<id>{QUEUE_ID})\b"),
)
PAIR = re.compile(r"([a-z_]+)=([^,]*)")


def step_of(line: Line) -> Step:
    """What the line tells; every line is a step, so nothing of a message's life is hidden."""
    for parse in (_delivery, _accepted, _queued, _from_cleanup, _from_others):
        if step := parse(line):
            return step
    return Step(line, Kind.NOTE)


def _delivery(line: Line) -> Step | None:
    match = DELIVERY.fullmatch(line.text)
    if not match:
        return None
    fields = {"recipient": match[1], "relay": match["relay"], **dict(PAIR.findall(match["between"]))}
    fields |= {"dsn": match["dsn"], "status": match["status"], "reply": match["reply"] or ""}
    if match[2]:
        fields["original_recipient"] = match[2]
    links = tuple(found["id"] for pattern in LINKS[:2] if (found := pattern.search(fields["reply"])))
    is_forward = fields["reply"].startswith("forwarded as ")
    return Step(line, Kind.FORWARDED if is_forward else STATUS.get(match["status"], Kind.NOTE), fields, links)


def _accepted(line: Line) -> Step | None:
    if line.text.startswith("client="):
        fields = dict(PAIR.findall(line.text))
    elif line.daemon == "pickup" and line.text.startswith("uid="):
        uid, _, sender = line.text.partition(" from=")
        fields = {"uid": uid[4:], "sender": sender.strip("<>")}
    else:
        return None
    found = LINKS[2].search(line.text)
    return Step(line, Kind.ACCEPTED, fields, (found["id"],) if found else ())


def _queued(line: Line) -> Step | None:
    if match := QUEUED.fullmatch(line.text):
        return Step(line, Kind.QUEUED, {"sender": match[1], "size": match["size"], "recipients": match["recipients"]})
    if match := RETURNED.fullmatch(line.text):
        return Step(line, Kind.EXPIRED, {"sender": match[1], "status": match["status"]})
    if line.text == "removed" or line.text.startswith("removed "):
        return Step(line, Kind.REMOVED)
    return None


def _from_cleanup(line: Line) -> Step | None:
    if match := MESSAGE_ID.fullmatch(line.text):
        return Step(line, Kind.IDENTIFIED, {"message_id": match["message_id"]})
    if match := REJECT.fullmatch(line.text):
        kind = ACTIONS.get(match["action"].removeprefix("milter-"), Kind.NOTE)
        return Step(line, kind, {"action": match["action"], "reply": match["what"]})
    return None


def _from_others(line: Line) -> Step | None:
    if match := SIGNED.search(line.text):
        return Step(line, Kind.SIGNED, match.groupdict())
    if match := NOTICE.fullmatch(line.text):
        return Step(line, Kind.NOTICE, {"what": match["what"], "queue_id": match["id"]}, (match["id"],))
    if line.program == "dovecot" and (match := STORED.fullmatch(line.text)):
        return Step(line, Kind.STORED, match.groupdict())
    if line.daemon == "postsuper" and line.text.startswith(("placed on hold", "released from hold")):
        return Step(line, Kind.HELD, {"reply": line.text})
    return None
