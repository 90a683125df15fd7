"""What each daemon of Postfix writes: one module for each family, a function for each program.

A handler gets the counting, the queue id (empty where the line has none) and the text after it, and answers
whether it understood the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mailctl.maillog.daemons import cleanup, delivery, postscreen, queue, service, smtpd

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting, CountRow, Handler

HANDLERS: dict[bytes, Handler] = {
    b"smtpd": smtpd.smtpd,
    b"pickup": smtpd.pickup,
    b"postscreen": postscreen.postscreen,
    b"dnsblog": postscreen.dnsblog,
    b"tlsproxy": postscreen.tlsproxy,
    b"cleanup": cleanup.cleanup,
    b"qmgr": queue.qmgr,
    b"oqmgr": queue.qmgr,
    b"nqmgr": queue.qmgr,
    b"bounce": queue.bounce,
    b"defer": queue.bounce,
    b"trace": queue.bounce,
    b"postsuper": queue.postsuper,
    b"smtp": delivery.smtp,
    b"lmtp": delivery.local,
    b"local": delivery.local,
    b"virtual": delivery.local,
    b"pipe": delivery.local,
    b"error": delivery.local,
    b"retry": delivery.local,
    b"discard": delivery.local,
    **dict.fromkeys(service.PROGRAMS, service.service),
}


_TLS_LEVELS = (b"Anonymous", b"Untrusted", b"Trusted", b"Verified")
_DELIVERED_HERE = {b"to": delivery.row_of_local}

ROWS: Mapping[bytes, Mapping[bytes, CountRow]] = {
    b"smtpd": {
        b"connect": smtpd.row_of_connect,
        b"disconnect": smtpd.row_of_disconnect,
        b"client": smtpd.row_of_client,
        **dict.fromkeys(_TLS_LEVELS, smtpd.row_of_tls),
    },
    b"cleanup": {b"message-id": cleanup.row_of_message_id},
    b"qmgr": {b"from": queue.row_of_active, b"removed": queue.row_of_removed},
    b"smtp": {b"to": delivery.row_of_smtp, **dict.fromkeys(_TLS_LEVELS, delivery.row_of_tls)},
    b"lmtp": _DELIVERED_HERE,
    b"local": _DELIVERED_HERE,
    b"virtual": _DELIVERED_HERE,
    b"pipe": _DELIVERED_HERE,
}
"""Short cuts for the lines that nearly all are like, by daemon and the word they begin with.

They take a row instead of a text, and count what the handler of the daemon would; a test holds both to that. False:
the row is not quite of that kind, and the handler has to look at the line.
"""


def row_counters_of(program: bytes) -> Mapping[bytes, CountRow]:
    before, _, daemon = program.rpartition(b"/")
    return ROWS.get(daemon, {}) if before else {}


def handler_of(program: bytes) -> Handler:
    """By the last part of a name like `postfix/submission/smtpd`, whatever syslog_name comes before it."""
    before, _, daemon = program.rpartition(b"/")
    if before and daemon in HANDLERS:
        return HANDLERS[daemon]
    return unknown_daemon if before.startswith(b"postfix") else foreign


def unknown_daemon(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    return False


def foreign(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    """A line of another program: none of our business, and nothing to report as not understood."""
    return True
