"""What each daemon of Postfix writes: one module for each family, a function for each program.

A handler gets the counting, the queue id (empty where the line has none) and the text after it, and answers
whether it understood the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailctl.maillog.daemons import cleanup, delivery, postscreen, queue, service, smtpd

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting, Handler

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
