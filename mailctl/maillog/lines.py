"""What every line of a log has: stamp, host, program, queue id, text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailctl.maillog.stamps import BSD_HOUR, RFC3339_HOUR

QUEUE_ID = rb"[0-9A-HJ-NP-TV-Zb-df-hj-np-tv-z]{6,}"

LONGEST_TEXT = 16_384
"""Bytes of a text that are looked at."""

_PROGRAM = rb"([^ \t\r\n[]+)"
_TEXT = rb"([^\n]{0,%d})[^\n]*" % LONGEST_TEXT

BSD_STAMP = rb"[^\n]{9}:\d\d:\d\d"
LONGEST_STAMP = 35  # bytes, nine digits of a second included
_LINE = re.compile(
    rb"(?:\d{4}-\d\d-\d\dT\d\d:\S+|%s) (\S+) %s\[\d+\]: (?:(%s): )?%s\n?" % (BSD_STAMP, _PROGRAM, QUEUE_ID, _TEXT)
)
_OTHER_LINE = re.compile(rb"(?:[^\n]{15}|\d{4}-\S+) \S+ ([^ :[]+)(?:\[[^]]*\])?:(?: .*)?", re.DOTALL)

_RUN = re.compile(rb"(\d[^\n]{12}|[^\d\n][^\n]{8})[^\n]*\n(?:\1[^\n]*\n)*+|[^\n]*\n")


def by_hour(block: bytes) -> Iterator[bytes]:
    """Runs of lines whose stamps share an hour, or that have none."""
    for run in _RUN.finditer(block):
        yield run[0]


def share_hour(block: bytes, count: int) -> bool:
    """Whether the `count` lines of a block are such a run."""
    prefix = block[: hour_length(block)]
    return b"\n" not in prefix and block.count(b"\n" + prefix) == count - 1


def hour_length(line: bytes) -> int:
    """Bytes of its stamp up to the hour, if it has one."""
    return RFC3339_HOUR if line[:1].isdigit() else BSD_HOUR


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
