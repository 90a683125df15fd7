"""The lines that nearly all of a log consists of: taken apart by one regular expression, counted in one loop.

For each of them this counts what the handler of its program (`daemons`) would; a test holds both to that. Every other
line is left to the handlers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mailctl.maillog.daemons import delivery, queue, smtpd
from mailctl.maillog.lines import BSD_STAMP, LONGEST_STAMP, QUEUE_ID
from mailctl.maillog.queue import RECENT, Mail, Origin
from mailctl.maillog.stamps import RFC3339_HOUR
from mailctl.maillog.tally import DELIVERED, ELSEWHERE, MESSAGE, RECEIVED

if TYPE_CHECKING:
    from mailctl.maillog.count import Counting

# `from=<a@a.example>, size=700, nrcpt=1 (queue active)`
# `to=<b@b.example>, relay=mx.b.example[192.0.2.7]:25, delay=1.2, delays=0.1/0/0.1/1, dsn=2.0.0, status=sent (250 Ok)`
# Of words that only tell one kind of line from another a single byte is kept: Python has those ready. A class of three
# kinds of bytes or more becomes a bitmap, which is the fastest: that is what NUL is for.
_USUAL = rb"""
    smtpd %(pid)s
    (?: (c)onnect[ ]from[ ].*+
      | disconnect[ ]from[ ].*+
      | (%(queue_id)s):[ ]client= ([^,\n\0]{0,500}+) (?=[,\n])
      | ([A-Z])[a-z]++[ ]%(tls)s[ ]from[ ][^ \n]*:[ ](?=%(protocol)s) )
  | cleanup %(pid)s %(queue_id)s:[ ]message-id= (?!%(own_id)s) .*+
  | qmgr %(pid)s (%(queue_id)s):[ ]
    (?: from=<(%(address)s)>,[ ] size=([0-9]{1,18}),[ ] nrcpt=[0-9]++[ ][(]queue[ ]active[)]
      | (r)emoved )
    (?=\n)
  | (?:(s)mtp|lmtp|local|virtual|pipe) %(pid)s
    (?: (%(queue_id)s):[ ]to=<(%(address)s)>,[ ] (?:orig_to=<%(address)s>,[ ]|) relay=([^,\n\0]{0,500}+),[ ]
        (?:conn_use=[0-9]++,[ ]|) delay=([0-9.]++),[ ] (?:delays=[0-9./]++,[ ]|) (?:tls=([^,\n\0]*+),[ ]|)
        dsn=([0-9][.][0-9]++[.][0-9]++),[ ] status=sent[ ] (?=[(]) (?![(]forwarded[ ]as[ ])
      | ([A-Z][a-z]++)[ ]%(tls)s[ ]to[ ]([^ \n]*):[ ](?=%(protocol)s) )
"""
_PARTS = {
    b"pid": rb"\[[0-9]++\]:[ ]",
    b"queue_id": QUEUE_ID + b"+",
    b"own_id": rb"<(?:\d{14}\.)?" + QUEUE_ID + rb"@",
    b"address": rb'[^>"\n]{0,1000}+',
    b"tls": rb"TLS[ ]connection[ ]established",
    b"protocol": rb"[^ \n]++[ ]with[ ]cipher[ ].{0,400}+\n",
}
_PROGRAM = rb"[^ \t\r\n[/]++/(?:[^ \t\r\n[/]++/|)"

Row = tuple[bytes, ...]
"""Host; of smtpd: whether a client connected, queue id and client, whether TLS was established; of qmgr: queue id,
sender and size, or whether it was removed; of who delivers: whether it is smtp(8), queue id, recipient, relay, delay,
policy of TLS, dsn, or trust and relay of TLS; what follows these. Empty: not there. A line that is not usual is all in
the last place.
"""


def rows_of(lines: bytes) -> list[Row]:
    """A row for each of the lines; a stamp of another form than the first one's begins a line that is not usual."""
    length = lines.find(b" ") if lines[:1].isdigit() else 0
    rows: list[Row] = _pattern(min(length, LONGEST_STAMP)).findall(lines)
    return rows


@lru_cache(maxsize=LONGEST_STAMP)
def _pattern(stamp: int) -> re.Pattern[bytes]:
    """For an RFC 3339 stamp of so many bytes, or a BSD one where it is 0."""
    form = rb".{13}:\S{%d}" % max(stamp - RFC3339_HOUR - 1, 1) if stamp else BSD_STAMP
    usual = rb"%s[ ](\S++)[ ]%s(?:%s)" % (form, _PROGRAM, _USUAL % _PARTS)
    return re.compile(rb"(?x)(?:%s|)(.*+)\n" % usual)


def count_rows(counting: Counting, rows: list[Row]) -> None:
    """Count every row; those that are not usual by the handler of their program."""
    # Long, and it does by itself what `Queue.take`, `Counting.activate` and `delivery.sent` do: counting spends most of
    # its time here, and half of that would be calls.
    here = counting.queue
    host, mails = here.host, here.mails
    tally, hour, inside = counting.tally, counting.hour, counting.inside
    senders, recipients, routes, inbound = tally.senders, tally.recipients, tally.routes, tally.tls_inbound
    connections = received = removed = sent = 0
    # fmt: off
    for (line_host, connected, taken, client, secured, managed, sender, size, is_removed,
         by_smtp, delivered, to, relay, delay, tls, dsn, trust, tls_relay, rest) in rows:
        # fmt: on
        if not line_host:
            counting.count_line(rest)
            here = counting.queue
            host, mails = here.host, here.mails
            continue
        if line_host != host:
            here = counting.enter_host(line_host)
            host, mails = here.host, here.mails
        if connected:
            connections += 1
        elif taken:
            if rest or client.startswith(host):
                smtpd.client(counting, taken, b"=%s%s" % (client, rest))
                continue
            recent = here.recent
            new = mails[taken] = recent[taken] = Mail()
            new.number = here.taken = here.taken + 1
            if len(recent) >= RECENT:
                here.former, here.recent = recent, {}
        elif size:
            mail = mails.get(managed)
            if mail is None or mail.active or mail.origin is not Origin.RECEIVED or not inside:
                queue.active(counting, managed, sender, size)
                continue
            mail.size = total = MESSAGE + int(size)
            mail.sender = sender
            mail.active = True
            mail.hour = hour
            received += 1
            senders[sender] = senders.get(sender, 0) + total
        elif is_removed:
            if mails.pop(managed, None) is None:
                queue.removed(counting, managed, b"removed")
            else:
                removed += 1
        elif delivered:
            mail = mails.get(delivered)
            if mail is None or mail.deferred is not None:
                delivery.delivered(counting, bool(by_smtp), delivered, to, relay, delay, tls, dsn, rest)
                continue
            if b"queued as " in rest:
                delivery.link_hop(counting, rest)
            sent += 1
            total = mail.size
            recipients[to] = recipients.get(to, 0) + total
            level = delivery.level_of(here, relay, tls) if by_smtp else ELSEWHERE
            route = (level, dsn, to[to.rfind(b"@") + 1 :], relay, delay)
            routes[route] = routes.get(route, 0) + total
        elif secured:
            inbound[rest] = inbound.get(rest, 0) + 1
        elif trust:
            delivery.tls_outbound(counting, trust, tls_relay, rest)
    counting.totals["connections"] += connections
    counting.totals["removed"] += removed
    counting.hour_counts[RECEIVED] += received
    counting.hour_counts[DELIVERED] += sent
