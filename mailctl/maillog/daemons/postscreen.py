"""postscreen(8) and its helpers dnsblog(8) and tlsproxy(8): who may talk to smtpd at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailctl.maillog.daemons import smtpd
from mailctl.maillog.daemons.service import common

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting

_KNOWN = (
    *(b"CONNECT from ", b"DISCONNECT ", b"PASS OLD ", b"PASS NEW ", b"PREGREET ", b"HANGUP after ", b"DNSBL rank "),
    *(b"WHITELISTED ", b"BLACKLISTED ", b"ALLOWLISTED ", b"DENYLISTED ", b"WHITELIST VETO ", b"ALLOWLIST VETO "),
    *(b"COMMAND PIPELINING from ", b"COMMAND TIME LIMIT ", b"COMMAND COUNT LIMIT ", b"COMMAND LENGTH LIMIT "),
    *(b"NON-SMTP COMMAND from ", b"BARE NEWLINE from ", b"cache ", b"close database ", b"TLS "),
)


def postscreen(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if text.startswith(b"NOQUEUE: "):
        return smtpd.action(counting, b"postscreen", text[9:])
    return text.startswith(_KNOWN) or common(counting, postscreen, queue_id, text)


def dnsblog(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    return text.startswith(b"addr ") or common(counting, dnsblog, queue_id, text)


def tlsproxy(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if b"TLS connection established from " in text[:80]:
        return smtpd.tls_inbound(counting, text)
    if b"TLS connection established to " in text[:80]:
        return True  # smtp(8) writes the same once more
    known = text.startswith((b"CONNECT ", b"DISCONNECT ", b"SSL_", b"initializing the ", b"setting up TLS connection "))
    return known or common(counting, tlsproxy, queue_id, text)
