"""Finding the lives that belong to a queue id, a message id or an address."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mailctl.maillog.trace.lines import Blocks, search
from mailctl.maillog.trace.lives import Life, lives_of, related
from mailctl.maillog.trace.steps import Kind, Step

MOST_PASSES = 8
"""A message that is handed on more often than this is cut off rather than followed for ever."""
SHORT_ID = re.compile(r"[0-9A-Fa-f]+")
"""Hexadecimal, and written in capitals; long ids, which have a `z` in them, differ by the case of a letter."""
NAMES = ("sender", "recipient", "original_recipient", "message_id")


@dataclass(frozen=True, slots=True)
class Trace:
    """`lives` are those that belong to `key`, in the order of the log; `omitted` counts earlier messages left out."""

    key: str
    lives: tuple[Life, ...]
    omitted: int = 0


def trace(blocks: Blocks, key: str, most: int = 10) -> Trace:
    """Everything the log tells about `key`: a queue id as written, a message id with or without <>, or an address.

    Args:
        blocks: reads the log from its beginning; called once a pass, three or four times for most messages.
        most: messages and refusals shown, the latest ones; what they link to is shown as well.

    Raises:
        LogError: the log cannot be read.
    """
    key = key.strip().strip("<>")
    ids, refusals, omitted = _mentioned(blocks(), key, most) if key else ([], [], 0)
    lives = _followed(blocks, set(ids))
    chosen = related(lives, [life for life in lives if _belongs(life, key)])
    stored = _stored(blocks, chosen)
    complete = [*_with_stored(chosen, stored), *lives_of(refusals)]
    return Trace(key, tuple(sorted(complete, key=lambda life: life.first)), omitted)


def _mentioned(blocks: Iterable[bytes], key: str, most: int) -> tuple[list[str], list[Step], int]:
    """The latest queue ids and refusals that the key belongs to, and how many ids came before them."""
    ids: dict[str, None] = {}
    refusals: deque[Step] = deque(maxlen=most)
    for step in search(blocks, [key]):
        if not _mentions(step, key):
            continue
        if step.line.queue_id:
            ids.setdefault(step.line.queue_id)
        else:
            refusals.append(step)
    latest = list(ids)[-most:]
    return latest, list(refusals), len(ids) - len(latest)


def _mentions(step: Step, key: str) -> bool:
    """Whether the key stands where an id or address of this message stands, not just in somebody's words."""
    lowered = key.lower()
    if not step.line.queue_id:
        return step.is_refusal and f"<{lowered}>" in step.line.text.lower()
    if step.line.queue_id in (key, SHORT_ID.fullmatch(key) and key.upper()):
        return True
    return any(step.fields.get(name, "").strip("<>").lower() == lowered for name in NAMES)


def _belongs(life: Life, key: str) -> bool:
    return any(_mentions(step, key) for step in life.steps)


def _followed(blocks: Blocks, ids: set[str]) -> list[Life]:
    """The lives of the ids, and of ids that they name or that name them, until nothing new is named."""
    lives: list[Life] = []
    for _ in range(MOST_PASSES if ids else 0):
        found = [step for step in search(blocks(), ids) if step.line.queue_id in ids or ids & set(step.links)]
        lives = lives_of(found)
        named = {life.queue_id for life in lives} | {link for life in lives for link in life.links}
        if named <= ids:
            break
        ids |= named
    return lives


def _stored(blocks: Blocks, lives: list[Life]) -> list[Step]:
    """What Dovecot did with the messages: its lines have no queue id but the message id."""
    message_ids = {life.value("message_id").strip("<>") for life in lives} - {""}
    if not message_ids:
        return []
    return [step for step in search(blocks(), message_ids) if step.kind is Kind.STORED]


def _with_stored(lives: list[Life], stored: list[Step]) -> list[Life]:
    """Each stored step goes to the latest life of its message that began before it."""
    more: dict[int, list[Step]] = {}
    for step in stored:
        owners = [place for place, life in enumerate(lives) if _may_own(life, step)]
        if owners:
            more.setdefault(owners[-1], []).append(step)
    return [_merged(life, more.get(place, [])) for place, life in enumerate(lives)]


def _may_own(life: Life, stored: Step) -> bool:
    return life.value("message_id") == stored.fields["message_id"] and life.first <= stored.order


def _merged(life: Life, more: list[Step]) -> Life:
    return replace(life, steps=tuple(sorted((*life.steps, *more), key=lambda step: step.order)))
