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
    alternatives = b"|".join(re.escape(word.encode(errors="surrogateescape")) for word in words)
    pattern = re.compile(rb"(?<![\w.+-])(?:" + alternatives + rb")(?![\w-])", re.IGNORECASE)
    passed = 0
    for block in blocks:
        end = 0
        while match := pattern.search(block, end):
            start = block.rfind(b"\n", 0, match.start()) + 1
            end = block.find(b"\n", match.end())
            end = len(block) if end < 0 else end
            if line := parse_line(block[start:end], passed + start):
                yield line
        passed += len(block)


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
