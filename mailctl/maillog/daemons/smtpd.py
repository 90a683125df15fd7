"""smtpd(8) and pickup(8): how mail comes in, and what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailctl.maillog.daemons.service import common, general
from mailctl.maillog.probes import is_probe
from mailctl.maillog.queue import Origin
from mailctl.maillog.tally import REJECTED, add_count

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting

_KNOWN = (
    *(b"lost connection after ", b"timeout after ", b"too many errors after ", b"improper command pipelining after "),
    *(b"setting up TLS connection from ", b"initializing the server-side TLS engine", b"SSL_accept error from "),
    *(b"Anonymous TLS connection reused from ", b"discarding EHLO keywords: ", b"proxy-accept: ", b"proxy-reject: "),
    *(b"match_hostname: ", b"generic_checks: ", b"send attr ", b"fingerprint=", b"certificate verification "),
    *(b"non-SMTP command from ", b"bare <LF> ", b"bare <CR>", b"disconnecting ", b"replacing ", b"client "),
    *(b"abort all TLS", b"Unexpected close", b"BDAT ", b"idle timeout", b"cannot "),
)
_KNOWN_OF_MESSAGE = (
    *(b"lost connection after ", b"timeout after ", b"too many errors after ", b"canceled", b"bare <LF>", b"replace: "),
    *(b"filter: ", b"redirect: ", b"prepend: ", b"bcc: ", b"warn: ", b"info: ", b"permit: ", b"trace: ", b"dunno: "),
    *(
        b"delay: ",
        b"proxy-accept: ",
        b"proxy-reject: ",
        b"strip: ",
        b"pass: ",
        b"client",
        b"improper command pipelining",
    ),
)
_FAILED_LOGIN = re.compile(rb"warning: ([^\s[]*)\[([^]\s]*)\]: SASL (\S{1,40}) authentication failed:?")
_LOGIN = re.compile(rb", sasl_method=[^,]*, sasl_username=([^,]*)")
_CLIENT = re.compile(rb"(?:[^\s[]*\[([^]\s]*)\]|\[([^]\s]*)\]:\d+|(\S*))")
_REPLY = re.compile(rb"([245]\d\d) (?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)", re.DOTALL)
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3}) (.*)", re.DOTALL)
_TLS = re.compile(rb"\w+ TLS connection established from [^ ]*: (\S+ with cipher .*)", re.DOTALL)


def smtpd(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if queue_id:
        if text.startswith(b"client="):
            return client(counting, queue_id, text[6:])
        return action(counting, b"smtpd", text) or text.startswith(_KNOWN_OF_MESSAGE)
    if text.startswith(b"connect from "):
        counting.totals["connections"] += 1
        return True
    if text.startswith(b"disconnect from "):
        return True
    if b" TLS connection established from " in text[:80]:
        return tls_inbound(counting, text)
    if text.startswith(b"NOQUEUE: "):
        return action(counting, b"smtpd", text[9:]) or text[9:].startswith(_KNOWN_OF_MESSAGE)
    if text.startswith(b"warning: ") and (failed := _FAILED_LOGIN.match(text)):
        counting.totals["sasl_failures"] += 1
        add_count(counting.tally.sasl_clients, failed[2])
    return common(counting, smtpd, queue_id, text) or text.startswith(_KNOWN)


def client(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    """`text` begins after the word: `=name[address], sasl_method=...`."""
    origin = Origin.RECEIVED
    if b", " in text:
        if b", orig_queue_id=" in text or b", orig_client=" in text:
            origin = Origin.REINJECTED
        if login := _LOGIN.search(text):
            counting.totals["sasl_logins"] += 1
            add_count(counting.tally.sasl_users, login[1])
    if text.startswith(counting.queue.own_client):
        origin = Origin.REINJECTED
    counting.queue.take(queue_id, origin)
    return True


def tls_inbound(counting: Counting, text: bytes) -> bool:
    """Counts by what follows the client: protocol, cipher and keys."""
    match = _TLS.match(text)
    if match is None:
        return False
    add_count(counting.tally.tls_inbound, match[1])
    return True


def pickup(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if queue_id and text.startswith(b"uid="):
        origin = Origin.REINJECTED if b" orig_id=" in text else Origin.RECEIVED
        counting.queue.take(queue_id, origin)
        return True
    return common(counting, pickup, queue_id, text)


def action(counting: Counting, program: bytes, text: bytes) -> bool:
    """`reject: RCPT from client: 554 5.7.1 reason; from=<...` and its relatives."""
    word, _, rest = text.partition(b": ")
    if word in (b"reject", b"milter-reject"):
        stage, _, rest = rest.partition(b" from ")
        who, _, reply = rest.partition(b": ")
        rejected(counting, b"%s %s" % (program, stage[:40]), who, reply)
    elif word == b"reject_warning":
        counting.totals["reject_warnings"] += 1
    elif word in (b"hold", b"milter-hold"):
        counting.totals["held"] += 1
    elif word in (b"discard", b"milter-discard"):
        counting.totals["discarded"] += 1
    else:
        return False
    return True


def rejected(counting: Counting, stage: bytes, who: bytes, reply: bytes) -> None:
    tally = counting.tally
    counting.totals["rejected"] += 1
    counting.hour_counts[REJECTED] += 1
    code = b""
    if match := _REPLY.match(reply):
        number, enhanced, reply = match.groups()
        code = b"%s %s" % (number, enhanced) if enhanced else number
        if number[:1] in (b"4", b"5"):
            counting.totals["rejected_4xx" if number[:1] == b"4" else "rejected_5xx"] += 1
    elif match := _ENHANCED.match(reply):
        code, reply = match.groups()
    if code:
        add_count(tally.reject_codes, code)
    name = b"%s: %s" % (stage, general(reason(reply)))
    add_count(tally.reject_classes, name)
    if client := _CLIENT.match(who):
        address = client[1] or client[2] or client[3]
        add_count(tally.reject_clients, address)
        if is_probe(address):
            add_count(tally.probe_rejects, name)


_OBJECT = re.compile(rb"<(?:[^<>]|<[^<>]*>)*>: ")
_BLOCKED = re.compile(rb"(Service unavailable); .*?(blocked using \S+).*", re.DOTALL)


def reason(reply: bytes) -> bytes:
    """The words of a refusal, without the address they are about and what the client said."""
    if blocked := _BLOCKED.match(reply):
        return b"%s; %s" % (blocked[1], blocked[2].rstrip(b";"))
    if about := _OBJECT.match(reply):
        reply = reply[about.end() :]
    return reply.partition(b"; ")[0].partition(b", [")[0]
