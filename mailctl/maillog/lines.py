"""Blocks of whole lines, taken apart by one regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from mailctl.maillog.stamps import BSD_HOUR, RFC3339_HOUR

QUEUE_ID = rb"[0-9A-HJ-NP-TV-Zb-df-hj-np-tv-z]{6,}"

Row = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""Host, program, queue id; then word, address, size or relay, delay, dsn; and what follows these. Empty: not there.

The five in the middle are those of the lines that nearly all are like: see `_FIELDS`. In another line they are empty,
and its whole text is what follows. A line that begins otherwise is empty throughout.
"""

LONGEST_TEXT = 16_384
"""Bytes of a text that are looked at."""

# `from=<a@a.example>, size=700, nrcpt=1 (queue active)`
# `to=<b@b.example>, relay=mx.b.example[192.0.2.7]:25, delay=1.2, delays=0.1/0/0.1/1, dsn=2.0.0, status=sent (250 Ok)`
# A class of three kinds of bytes or more becomes a bitmap, which is the fastest: that is what NUL is for.
_ADDRESS = rb'[^>"\n]{0,1000}'
_RELAY = (
    rb"(?:size=(?=\d+, nrcpt=)|(?:orig_to=<" + _ADDRESS + rb">, )?relay=(?!\d+, nrcpt=))([^,\n\0]{0,500}), "
    rb"(?:(?:conn_use=\d+, )?delay=([0-9.]+), (?:delays=[0-9./]+, )?(?:tls=[^,\n\0]*, )?dsn=(\d\.\d+\.\d+), )?"
)
_FIELDS = (
    rb"(from|to|message-id|removed|client|connect|disconnect|Anonymous|Untrusted|Trusted|Verified)"
    rb"(?:=<(" + _ADDRESS + rb")>(?:, " + _RELAY + rb")?)?"
)
_PROGRAM = rb"([^ \t\r\n[]+)"
_TEXT = rb"([^\n]{0,%d})[^\n]*" % LONGEST_TEXT

_BSD_STAMP = rb"[^\n]{9}:\d\d:\d\d"
_LONGEST_STAMP = 35  # bytes, nine digits of a second included
_LINE = re.compile(
    rb"(?:\d{4}-\d\d-\d\dT\d\d:\S+|%s) (\S+) %s\[\d+\]: (?:(%s): )?%s\n?" % (_BSD_STAMP, _PROGRAM, QUEUE_ID, _TEXT)
)
_OTHER_LINE = re.compile(rb"(?:[^\n]{15}|\d{4}-\S+) \S+ ([^ :[]+)(?:\[[^]]*\])?:(?: .*)?", re.DOTALL)

_RUN = re.compile(rb"(\d[^\n]{12}|[^\d\n][^\n]{8})[^\n]*\n(?:\1[^\n]*\n)*+|[^\n]*\n")


def by_hour(block: bytes, count: int) -> Iterator[tuple[bytes, int]]:
    """Runs of lines whose stamps share an hour, or that have none, and how many; the block has `count` in all."""
    prefix = block[: hour_length(block)]
    if b"\n" not in prefix and block.count(b"\n" + prefix) == count - 1:
        yield block, count
        return
    for run in _RUN.finditer(block):
        yield run[0], run[0].count(b"\n")


def hour_length(line: bytes) -> int:
    """Bytes of its stamp up to the hour, if it has one."""
    return RFC3339_HOUR if line[:1].isdigit() else BSD_HOUR


def rows_of(lines: bytes) -> list[Row]:
    """A row for each of the lines; a stamp of another form than the first one's begins a line otherwise."""
    length = lines.find(b" ") if lines[:1].isdigit() else 0
    rows: list[Row] = _rows_pattern(min(length, _LONGEST_STAMP)).findall(lines)
    return rows


@lru_cache(maxsize=_LONGEST_STAMP)
def _rows_pattern(stamp: int) -> re.Pattern[bytes]:
    """For an RFC 3339 stamp of so many bytes, or a BSD one where it is 0."""
    form = rb"\S{13}:\S{%d}" % max(stamp - RFC3339_HOUR - 1, 1) if stamp else _BSD_STAMP
    row = rb"%s (\S+) %s\[\d+\]: (?:(%s): )?(?:%s)?%s" % (form, _PROGRAM, QUEUE_ID, _FIELDS, _TEXT)
    return re.compile(rb"(?:%s|[^\n]*)\n" % row)


def parts_of(line: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Host, program, queue id or nothing, text of any line; None where it has no stamp, host or program."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    host, program, queue_id, text = match.groups(b"")
    return host, program, queue_id, text


def is_other_line(line: bytes) -> bool:
    """A line of another program. Daemons of Postfix have a process id in brackets; what has none is not theirs."""
    match = _OTHER_LINE.fullmatch(line)
    return match is not None and not match[1].startswith(b"postfix")
