"""smtp(8), lmtp(8), local(8), virtual(8), pipe(8), error(8), discard(8): one line for each recipient and attempt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailctl.maillog.daemons.service import common, general
from mailctl.maillog.queue import Mail
from mailctl.maillog.tally import BOUNCED, DEFERRED, ELSEWHERE, add_count, domain_of

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting, Handler

# The fields stand in this order since Postfix 2.3; others may come between. Everything after the first well-placed
# status= is somebody else's text.
_ADDRESS = rb'<([^>"]*|"(?:[^"\\]|\\.)*"[^>]*)>'
_DELIVERY = re.compile(
    rb"to="
    + _ADDRESS
    + rb", (?:orig_to="
    + _ADDRESS
    + rb", )?relay=([^,]*), (?:conn_use=\d+, )?delay=([\d.]+), (?:delays=[\d./]+, )?"
    rb"(?:[a-z_]+=[^,]*, )*?dsn=(\d\.\d+\.\d+), (?:[a-z_]+=[^,]*, )*?status=([\w-]+)",
    re.DOTALL,
)
_QUEUED_AS = re.compile(rb"queued as (\w{6,})")
_FORWARDED_AS = re.compile(rb" \(forwarded as (\w+)\)")
_SAID = re.compile(rb"host \S+ (?:said|refused to talk to me): (.*?)(?: \(in reply to [^()]*\))?", re.DOTALL)
_TLS = re.compile(rb"(\w+) TLS connection (?:established|reused) to ([^ ]+): (\S+ with cipher .*)", re.DOTALL)
_FORWARDED = re.compile(rb" \(forwarded as ")
_KNOWN = (
    *(
        b"connect to ",
        b"host ",
        b"lost connection with ",
        b"conversation with ",
        b"SSL_connect error to ",
        b"enabling PIX ",
    ),
    *(
        b"certificate verification failed for ",
        b"Server certificate ",
        b"setting up TLS connection to ",
        b"TLS handshake ",
    ),
    *(
        b"initializing the client-side TLS engine",
        b"server certificate verification failed for ",
        b"Cannot start TLS: ",
    ),
    *(b"certificate ", b"send attr ", b"breaking line ", b"looking for ", b"mailbox ", b"command ", b"no "),
)


def smtp(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if queue_id:
        return delivery(counting, smtp, queue_id, text)
    if b"TLS connection" in text[:40] and (tls := _TLS.fullmatch(text)):
        level, relay, protocol = tls.groups()
        add_count(counting.tally.tls_outbound, level + b" " + protocol)
        if counting.queue.levels.get(relay) != level:
            set_level(counting, relay, level)
            if not counting.first:
                counting.put_off(set_level, relay, level)
        return True
    return common(counting, smtp, queue_id, text) or text.startswith(_KNOWN)


def set_level(counting: Counting, relay: bytes, level: bytes) -> bool:
    counting.queue.levels[relay] = level
    return True


def local(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if queue_id:
        return delivery(counting, local, queue_id, text)
    return common(counting, local, queue_id, text) or text.startswith(_KNOWN)


def delivery(counting: Counting, handler: Handler, queue_id: bytes, text: bytes) -> bool:
    match = _DELIVERY.match(text)
    if match is None:
        return text.startswith(_KNOWN) or common(counting, handler, queue_id, text)
    if match[6] == b"sent":
        # Which message a delivery leads to does not depend on what is known of this one.
        if forwarded := _FORWARDED_AS.match(text, match.end()):
            counting.totals["forwarded"] += 1
            add_count(counting.tally.dsn, match[5])
            counting.link_made_here(forwarded[1])
            return True
        place = text.find(b"queued as ", match.end())
        if place > 0 and (hop := _QUEUED_AS.match(text, place)):
            counting.link_hop(hop[1])
    elif match[6] not in _STATUSES:
        return False
    return attempt(counting, handler is smtp, queue_id, text, match)


def attempt(counting: Counting, by_smtp: bool, queue_id: bytes, text: bytes, match: re.Match[bytes]) -> bool:
    mail = counting.queue.mails.get(queue_id)
    if mail is None:
        mail = counting.find(late_smtp if by_smtp else late_local, queue_id, text)
        if mail is None:
            return True
    to, _, relay, delay, dsn, status = match.groups()
    tally = counting.tally
    tally.dsn[dsn] = tally.dsn.get(dsn, 0) + 1
    if status == b"sent":
        sent(counting, mail, by_smtp, to, relay, delay)
    elif status in _FAILURES:
        _FAILURES[status](counting, mail, to, text[match.end() :], by_smtp, relay)
    return True


def late_smtp(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    match = _DELIVERY.match(text)
    return match is not None and attempt(counting, True, queue_id, text, match)


def late_local(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    match = _DELIVERY.match(text)
    return match is not None and attempt(counting, False, queue_id, text, match)


def sent(counting: Counting, mail: Mail, by_smtp: bool, to: bytes, relay: bytes, delay: bytes) -> None:
    counting.delivered(mail)
    tally = counting.tally
    if entry := tally.recipients.get(to):
        entry[0] += 1
        entry[1] += mail.size
    else:
        tally.recipients[to] = [1, mail.size]
    domain = to[to.rfind(b"@") + 1 :]
    level = counting.queue.levels.get(relay, counting.queue.no_level) if by_smtp else ELSEWHERE
    routes = tally.routes.get(level)
    if routes is None:
        routes = tally.routes[level] = {}
    route = b"%s>, relay=%s, delay=%s" % (domain, relay, delay)
    if entry := routes.get(route):
        entry[0] += 1
        entry[1] += mail.size
    else:
        routes[route] = [1, mail.size]
    if by_smtp and mail.deferred is not None and to in mail.deferred:
        add_count(tally.remote_retried, domain.lower())


def deferred(counting: Counting, mail: Mail, to: bytes, words: bytes, by_smtp: bool, relay: bytes) -> None:
    counting.totals["deferred"] += 1
    counting.hour_counts[DEFERRED] += 1
    if mail.deferred is None:
        mail.deferred = set()
        counting.totals["deferred_messages"] += 1
    mail.deferred.add(to)
    failed(counting, counting.tally.deferrals, b"deferred", mail, to, words, by_smtp, relay)


def bounced(counting: Counting, mail: Mail, to: bytes, words: bytes, by_smtp: bool, relay: bytes) -> None:
    counting.totals["bounced"] += 1
    counting.hour_counts[BOUNCED] += 1
    failed(counting, counting.tally.bounces, b"bounced", mail, to, words, by_smtp, relay)


def expired(counting: Counting, mail: Mail, to: bytes, words: bytes, by_smtp: bool, relay: bytes) -> None:
    counting.totals["expired"] += 1


def failed(
    counting: Counting,
    sums: dict[bytes, int],
    status: bytes,
    mail: Mail,
    to: bytes,
    words: bytes,
    by_smtp: bool,
    relay: bytes,
) -> None:
    reason = cause(words)
    add_count(sums, reason)
    if by_smtp:
        add_count(counting.tally.remote_failures, b"\0".join((domain_of(to), status, reason)))
        add_count(counting.tally.failing_senders, mail.sender)
        add_count(counting.tally.failing_relays, relay)


def cause(words: bytes) -> bytes:
    """The remote's reply, or Postfix's own reason, without what differs from one message to the next."""
    words = words.strip()[1:-1]
    said = _SAID.fullmatch(words)
    return general(said[1] if said else words)


_FAILURES = {
    b"deferred": deferred,
    b"SOFTBOUNCE": deferred,
    b"bounced": bounced,
    b"expired": expired,
    b"force-expired": expired,
}
_STATUSES = {b"deliverable", b"undeliverable", *_FAILURES}
