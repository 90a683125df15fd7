"""The lines of a log that hold one of a few words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Blocks = Callable[[], Iterable[bytes]]
"""Reads the log anew: blocks of whole lines."""

QUEUE_ID = r"[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}"
LINE = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S+) "
    rf"(?P<program>[^\s\[:]+)(?:\[\d+\])?: (?:(?P<queue_id>{QUEUE_ID}): )?(?P<text>.*)",
    re.DOTALL,
)
INSIDE_AFTER = frozenset(bytes([code]) for code in b"0123456789abcdefghijklmnopqrstuvwxyz_-")
INSIDE_BEFORE = INSIDE_AFTER | {b".", b"+"}
"""What makes a find a part of a longer word: `x@y` is none in `max@y` or `x@y-z`."""

LONGEST = 16_384
"""Characters of a line that are looked at."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `order` is the byte of the log at which it begins. `queue_id` may be empty."""

    order: int
    stamp: str
    host: str
    program: str
    queue_id: str
    text: str

    @property
    def daemon(self) -> str:
        """`smtpd` of `postfix/submission/smtpd`."""
        return self.program.rpartition("/")[2]


def search(blocks: Iterable[bytes], words: Iterable[str]) -> Iterator[Line]:
    """Every line that holds one of `words` as a whole word, in any case of letters."""
    wanted = [word.lower().encode(errors="surrogateescape") for word in words]
    passed = 0
    for block in blocks:
        lowered = block.lower()  # of bytes, so places stay the same
        starts = {lowered.rfind(b"\n", 0, place) + 1 for word in wanted for place in _places(lowered, word)}
        for start in sorted(starts):
            end = block.find(b"\n", start)
            if line := parse_line(block[start : len(block) if end < 0 else end], passed + start):
                yield line
        passed += len(block)


def _places(text: bytes, word: bytes) -> Iterator[int]:
    # find is many times faster than a regular expression with several alternatives.
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        if text[place - 1 : place] not in INSIDE_BEFORE and text[end : end + 1] not in INSIDE_AFTER:
            yield place
        place = text.find(word, end)


def mail_lines(blocks: Iterable[bytes]) -> Iterator[Line]:
    """Every line about a message, and every refusal before there was one."""
    passed = 0
    for block in blocks:
        for raw in block.split(b"\n"):
            line = parse_line(raw, passed)
            if line and (line.queue_id or line.text.startswith("NOQUEUE: ")):
                yield line
            passed += len(raw) + 1


def parse_line(raw: bytes, order: int = 0) -> Line | None:
    """The parts of a line; None where it has no stamp, host and program."""
    match = LINE.fullmatch(raw[:LONGEST].decode(errors="backslashreplace").rstrip("\r"))
    if not match:
        return None
    return Line(order, match["stamp"], match["host"], match["program"], match["queue_id"] or "", match["text"])
