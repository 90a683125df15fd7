"""smtp(8), lmtp(8), local(8), virtual(8), pipe(8), error(8), discard(8): one line for each recipient and attempt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailctl.maillog.daemons.service import common, general
from mailctl.maillog.queue import Mail, Queue
from mailctl.maillog.tally import BOUNCED, DEFERRED, DELIVERED, ELSEWHERE, NO_TLS, add_count, domain_of

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
    rb"(?:tls=([^,]*), )?(?:(?!dsn=)[a-z_]+=[^,]*, )*+dsn=(?P<dsn>\d\.\d+\.\d+), "
    rb"(?:(?!status=)[a-z_]+=[^,]*, )*+status=(?P<status>[\w-]+)",
    re.DOTALL,
)
_QUEUED_AS = re.compile(rb"queued as (\w{6,})")
_FORWARDED_AS = re.compile(rb" \(forwarded as (\w+)\)")
_SAID = re.compile(rb"host \S+ (?:said|refused to talk to me): ")
# A service of this machine, by its socket or loopback address: a cause is not complete without its name.
_OWN_SERVICE = re.compile(
    rb"(connect to|lost connection with|conversation with|host) [^\s\[]*"
    rb"(\[(?:(?:private/|public/|/|127\.)[^\]\s]{1,100}|::1)\](?::\d{1,5})?)"
)
_IN_REPLY_TO = b" (in reply to "
_TLS = re.compile(rb"(\w+) TLS connection (?:established|reused) to ([^ ]+): (\S+ with cipher .*)", re.DOTALL)
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
        b"TLS is required, but ",
    ),
    *(b"certificate ", b"send attr ", b"breaking line ", b"looking for ", b"mailbox ", b"command ", b"no "),
)


def smtp(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    if queue_id:
        return delivery(counting, smtp, queue_id, text)
    if b"TLS connection" in text[:40] and (tls := _TLS.fullmatch(text)):
        return tls_outbound(counting, *tls.groups())
    return common(counting, smtp, queue_id, text) or text.startswith(_KNOWN)


def tls_outbound(counting: Counting, level: bytes, relay: bytes, protocol: bytes) -> bool:
    """`protocol` with the cipher and keys that follow it."""
    add_count(counting.tally.tls_outbound, level + b" " + protocol)
    if counting.queue.levels.get(relay) != level:
        set_level(counting, relay, level)
        if not counting.first:
            counting.put_off(set_level, relay, level)
    return True


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
    if match["status"] == b"sent":
        # Which message a delivery leads to does not depend on what is known of this one.
        if forwarded := _FORWARDED_AS.match(text, match.end()):
            counting.totals["forwarded"] += 1
            add_count(counting.tally.dsn, match["dsn"])
            counting.link_made_here(forwarded[1])
            return True
        link_hop(counting, text[match.end() :])
    elif match["status"] not in _STATUSES:
        return False
    return attempt(counting, handler is smtp, queue_id, text, match)


def link_hop(counting: Counting, reply: bytes) -> None:
    """The next host names the queue id that it gave to the message; that host may be this one."""
    place = reply.find(b"queued as ")
    if place >= 0 and (hop := _QUEUED_AS.match(reply, place)):
        counting.link_hop(hop[1])


def attempt(counting: Counting, by_smtp: bool, queue_id: bytes, text: bytes, match: re.Match[bytes]) -> bool:
    mail = counting.queue.mails.get(queue_id)
    if mail is None:
        mail = counting.find(late_smtp if by_smtp else late_local, queue_id, text)
        if mail is None:
            return True
    to, _, relay, delay, tls, dsn, status = match.groups()
    if status == b"sent":
        level = level_of(counting.queue, relay, tls) if by_smtp else ELSEWHERE
        sent(counting, mail, level, to, relay, delay, dsn)
        return True
    add_count(counting.tally.dsn, dsn)
    if status in _FAILURES:
        _FAILURES[status](counting, mail, to, text[match.end() :], by_smtp, relay)
    return True


def late_smtp(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    match = _DELIVERY.match(text)
    return match is not None and attempt(counting, True, queue_id, text, match)


def late_local(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    match = _DELIVERY.match(text)
    return match is not None and attempt(counting, False, queue_id, text, match)


def level_of(queue: Queue, relay: bytes, tls: bytes | None) -> bytes:
    """The trust of TLS of a delivery by smtp(8); empty without TLS, ELSEWHERE where it did not leave this host."""
    if is_here(relay):
        return ELSEWHERE
    return b"" if tls == NO_TLS else queue.levels.get(relay, queue.no_level)


def is_here(relay: bytes) -> bool:
    """A content filter, as a rule: `localhost[127.0.0.1]:10024`."""
    return relay.partition(b"[")[2].startswith((b"127.", b"::1]"))


def sent(counting: Counting, mail: Mail, level: bytes, to: bytes, relay: bytes, delay: bytes, dsn: bytes) -> None:
    counting.hour_counts[DELIVERED] += 1
    tally = counting.tally
    add_count(tally.recipients, to, mail.size)
    domain = to[to.rfind(b"@") + 1 :]
    route = (level, dsn, domain, relay, delay)
    tally.routes[route] = tally.routes.get(route, 0) + mail.size
    if mail.deferred is not None and level != ELSEWHERE and to in mail.deferred:
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
    # A filter that cannot be reached is in no `relay=`.
    if by_smtp and not is_here(relay) and not _OWN_SERVICE.match(reason):
        add_count(counting.tally.remote_failures, b"\0".join((domain_of(to), status, reason)))
        add_count(counting.tally.failing_senders, mail.sender)
        add_count(counting.tally.failing_relays, relay)


def cause(words: bytes) -> bytes:
    """The remote's reply, or Postfix's own reason, without what differs from one message to the next."""
    words = words.strip()[1:-1]
    own = _OWN_SERVICE.match(words)
    if said := _SAID.match(words):
        words = words[said.end() :]
        reply, found, command = words.rpartition(_IN_REPLY_TO)
        if found and command.endswith(b")") and b")" not in command[:-1] and b"(" not in command:
            words = reply
        return b"host %s said: %s" % (own[2], general(words)) if own else general(words)
    return b"%s %s%s" % (own[1], own[2], general(words[own.end() :])) if own else general(words)


_FAILURES = {
    b"deferred": deferred,
    b"SOFTBOUNCE": deferred,
    b"bounced": bounced,
    b"expired": expired,
    b"force-expired": expired,
}
_STATUSES = {b"deliverable", b"undeliverable", *_FAILURES}


def delivered(
    counting: Counting,
    by_smtp: bool,
    queue_id: bytes,
    to: bytes,
    relay: bytes,
    delay: bytes,
    tls: bytes,
    dsn: bytes,
    reply: bytes,
) -> bool:
    """A delivery with status=sent, from the parts of its line."""
    between = b"tls=%s, " % tls if tls else b""
    text = b"to=<%s>, relay=%s, delay=%s, %sdsn=%s, status=sent %s" % (to, relay, delay, between, dsn, reply)
    return delivery(counting, smtp if by_smtp else local, queue_id, text)
