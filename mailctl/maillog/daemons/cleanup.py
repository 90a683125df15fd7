"""cleanup(8): message ids, header and body checks, milters at the end of a message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailctl.maillog.daemons import smtpd
from mailctl.maillog.daemons.service import common
from mailctl.maillog.lines import QUEUE_ID
from mailctl.maillog.queue import Origin

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting

_OWN_ID = re.compile(rb"message-id=<(?:\d{14}\.)?(" + QUEUE_ID + rb")@")
_PARTS = (b"header ", b"body ", b"mime-header ", b"nested-header ")
_KNOWN = (
    *(
        b"warning: ",
        b"info: ",
        b"filter: ",
        b"prepend: ",
        b"replace: ",
        b"redirect: ",
        b"strip: ",
        b"bcc: ",
        b"ignore: ",
    ),
    *(b"resent-message-id=", b"canceled", b"milter-", b"pass: ", b"prepend"),
)


def cleanup(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if not queue_id:
        if text.startswith(b"NOQUEUE: "):
            return action(counting, queue_id, text[9:])
        return common(counting, cleanup, queue_id, text)
    if text.startswith(b"message-id="):
        if queue_id not in counting.queue.mails and is_own_id(queue_id, text):
            made_here(counting, queue_id, text)
        return True
    return action(counting, queue_id, text) or text.startswith(_KNOWN)


def is_own_id(queue_id: bytes, text: bytes) -> bool:
    """Postfix makes message ids from the queue id, cleanup(8): `<20260301060000.4F0A1B2C@host>`, or
    `<4kQpzf0Gv2z1x@host>` with long queue ids."""
    match = _OWN_ID.match(text)
    return match is not None and match[1] == queue_id


def made_here(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    """A message that nobody brought in. A forward by local(8) keeps the id that it had; a later line tells."""
    if counting.first:
        counting.queue.take(queue_id, Origin.INTERNAL)
    else:
        counting.put_off(cleanup, queue_id, text)
    return True


def action(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    word, _, rest = text.partition(b": ")
    if word == b"reject" and rest.startswith(_PARTS):
        # `header Subject: x from client; from=<a> to=<b> proto=ESMTP helo=<c>: 5.7.1 text`: a header may hold all of
        # this too, so the last one counts.
        checked, _, envelope = rest.rpartition(b"; from=<")
        client = checked.rpartition(b" from ")[2]
        part = rest.partition(b" ")[0]
        smtpd.rejected(counting, b"cleanup " + part, client, envelope.rpartition(b">: ")[2])
    elif not smtpd.action(counting, b"cleanup", text):
        return False
    if word in (b"reject", b"milter-reject", b"discard", b"milter-discard"):
        counting.queue.mails.pop(queue_id, None)
    return True
