"""qmgr(8), bounce(8) and postsuper(1): what becomes of messages in the queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailctl.maillog.daemons.delivery import local
from mailctl.maillog.daemons.service import common

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting

_ACTIVE = re.compile(rb"from=<([^>\"]*|.*)>, size=(\d{1,18}), nrcpt=\d+ \(queue active\)", re.DOTALL)
_EXPIRED = re.compile(rb"from=<.*>, status=(?:force-)?expired, ", re.DOTALL)
_NOTICE = re.compile(rb"(sender|postmaster) (non-delivery|delivery status|delay|delivery) notification: (\w+)")
_QMGR_KNOWN = (b"skipped, still being delivered", b"placed on hold", b"canceled")
_SUMMARY = re.compile(
    rb"(Deleted|Requeued|Placed on hold|Released from hold|Force-expired|Expired|Renamed[^:]*): (\d{1,9}) .*"
)
_SUMMED = {b"Deleted": "removed", b"Placed on hold": "held"}
_POSTSUPER_KNOWN = (b"released from hold", b"requeued", b"expired", b"force-expired", b"renamed", b"placed ")


def qmgr(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if text == b"removed":
        return removed(counting, queue_id, text)
    if match := _ACTIVE.fullmatch(text):
        return active(counting, queue_id, match[1], match[2])
    if _EXPIRED.match(text):
        counting.totals["expired"] += 1
        return True
    if text.startswith(b"to=<"):
        return local(counting, queue_id, text)
    return common(counting, qmgr, queue_id, text) or bool(queue_id and text.startswith(_QMGR_KNOWN))


def active(counting: Counting, queue_id: bytes, sender: bytes, size: bytes) -> bool:
    mail = counting.find(qmgr, queue_id, b"from=<%s>, size=%s, nrcpt=1 (queue active)" % (sender, size))
    if mail is not None:
        counting.activate(mail, sender, int(size))
    return True


def removed(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if counting.queue.mails.pop(queue_id, None) is None and not counting.first:
        counting.put_off(removed, queue_id, text)
    else:
        counting.totals["removed"] += 1
    return True


def bounce(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    match = _NOTICE.fullmatch(text)
    if not match:
        return common(counting, bounce, queue_id, text)
    if match[1] == b"sender" and match[2] == b"non-delivery":
        counting.totals["ndn_sent"] += 1
    counting.link_made_here(match[3])
    return True


def postsuper(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    """One line for each message that was named, and a summary at the end; for ALL the summary alone."""
    if text == b"removed":
        by_name = counting.queue.by_name
        by_name["removed"] = by_name.get("removed", 0) + 1
        return removed(counting, queue_id, text)
    if text.startswith(b"placed on hold"):
        by_name = counting.queue.by_name
        by_name["held"] = by_name.get("held", 0) + 1
        counting.totals["held"] += 1
        return True
    if queue_id:
        if text.startswith(b"requeued"):
            counting.queue.mails.pop(queue_id, None)
        return text.startswith(_POSTSUPER_KNOWN)
    if summary := _SUMMARY.fullmatch(text):
        if name := _SUMMED.get(summary[1]):
            count = int(summary[2]) - counting.queue.by_name.pop(name, 0)
            summed(counting, name.encode(), b"%d" % count)
        return True
    return common(counting, postsuper, queue_id, text)


def summed(counting: Counting, name: bytes, count: bytes) -> bool:
    """What a summary counts beyond the messages named before it, of which some may lie before this piece."""
    if not counting.first:
        counting.put_off(summed, name, count)
        return True
    total = name.decode()
    counting.totals[total] += max(0, int(count) - counting.queue.by_name.pop(total, 0))
    return True
