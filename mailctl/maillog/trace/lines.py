"""The steps that the lines of a log tell, all of them or those that hold one of a few words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from mailctl.maillog.trace.steps import Step, step_of

Blocks = Callable[[], Iterable[bytes]]
"""Reads the log anew: blocks of whole lines."""

INSIDE_AFTER = frozenset(bytes([code]) for code in b"0123456789abcdefghijklmnopqrstuvwxyz_-")
INSIDE_BEFORE = INSIDE_AFTER | {b".", b"+"}
"""What makes a find a part of a longer word: `x@y` is none in `max@y` or `x@y-z`."""

ABOUT_MESSAGE = re.compile(rb"\]: [0-9A-Zb-df-hj-np-tv-z]{6,}: ")
"""Cheaply leaves out most lines that are about no message; `NOQUEUE` matches, too."""


def search(blocks: Iterable[bytes], words: Iterable[str]) -> Iterator[Step]:
    """The step of every line that holds one of `words` as a whole word, in any case of letters."""
    wanted = [word.lower().encode(errors="surrogateescape") for word in words]
    passed = 0
    for block in blocks:
        lowered = block.lower()  # of bytes, so places stay the same
        starts = {lowered.rfind(b"\n", 0, place) + 1 for word in wanted for place in _places(lowered, word)}
        for start in sorted(starts):
            end = block.find(b"\n", start)
            if step := step_of(block[start : len(block) if end < 0 else end], passed + start):
                yield step
        passed += len(block)


def _places(text: bytes, word: bytes) -> Iterator[int]:
    # find is many times faster than a regular expression with several alternatives.
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        if text[place - 1 : place] not in INSIDE_BEFORE and text[end : end + 1] not in INSIDE_AFTER:
            yield place
        place = text.find(word, end)


def message_steps(blocks: Iterable[bytes]) -> Iterator[Step]:
    """The steps of all messages, and every refusal before there was one."""
    passed = 0
    for block in blocks:
        for raw in block.split(b"\n"):
            step = step_of(raw, passed) if ABOUT_MESSAGE.search(raw) else None
            if step and (step.line.queue_id or step.is_refusal):
                yield step
            passed += len(raw) + 1
