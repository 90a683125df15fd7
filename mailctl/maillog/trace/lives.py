"""From lines to the lives of messages: one queue id may be used again, one message may have several ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailctl.maillog.trace.steps import Kind, Step

MOST_OPEN = 100_000
"""Messages followed at once; beyond it the oldest are given up, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class Life:
    """What a log tells about one message while it had one queue id. Refusals before there was one have an empty id."""

    queue_id: str
    host: str
    steps: tuple[Step, ...]

    @property
    def first(self) -> int:
        return self.steps[0].order

    @property
    def last(self) -> int:
        return self.steps[-1].order

    @property
    def is_over(self) -> bool:
        return any(step.kind is Kind.REMOVED or _is_dropped(step) for step in self.steps)

    @property
    def requeued_from(self) -> str:
        """The id that the message had before postsuper(1) gave it this one."""
        began = self.steps[0]
        return began.fields.get("original_id", "") if began.line.daemon == "pickup" else ""

    def value(self, name: str) -> str:
        """The first non-empty field of that name, such as `sender` or `message_id`."""
        return next((step.fields[name] for step in self.steps if step.fields.get(name)), "")

    @property
    def links(self) -> tuple[str, ...]:
        return tuple(link for step in self.steps for link in step.links)


def _is_dropped(step: Step) -> bool:
    """cleanup(8) refuses whole messages, when all of one has come; what smtpd(8) refuses is one recipient."""
    return step.kind is Kind.REFUSED and step.line.daemon == "cleanup"


def lives_of(steps: Iterable[Step]) -> list[Life]:
    """All lives, in the order they begin."""
    return sorted(follow_lives(steps), key=lambda life: life.first)


def follow_lives(steps: Iterable[Step]) -> Iterator[Life]:
    """Each life as soon as it is over; those that are not follow at the end, and so do those beyond MOST_OPEN.

    A step without a queue id is a life of its own. Another life of the same id begins after `removed`, or where a
    client brings a new message.
    """
    running: dict[tuple[str, str], list[Step]] = {}
    for step in steps:
        key = (step.line.host, step.line.queue_id)
        if not step.line.queue_id:
            yield Life("", step.line.host, (step,))
            continue
        if step.kind is Kind.ACCEPTED and key in running:
            yield _life(key, running.pop(key))
        running.setdefault(key, []).append(step)
        if step.kind is Kind.REMOVED:
            yield _life(key, running.pop(key))
        elif len(running) > MOST_OPEN:
            oldest = next(iter(running))
            yield _life(oldest, running.pop(oldest))
    yield from (_life(key, steps) for key, steps in running.items())


def _life(key: tuple[str, str], steps: list[Step]) -> Life:
    return Life(key[1], key[0], tuple(steps))


def related(lives: list[Life], seeds: list[Life]) -> list[Life]:
    """The seeds, and the lives they link to or are linked from: re-injections, forwards, bounces."""
    chosen = {id(life): life for life in seeds}
    waiting = list(seeds)
    while waiting:
        life = waiting.pop()
        for other in _neighbours(lives, life):
            if id(other) not in chosen:
                chosen[id(other)] = other
                waiting.append(other)
    return sorted(chosen.values(), key=lambda life: life.first)


def _neighbours(lives: list[Life], life: Life) -> list[Life]:
    found = [_nearest(lives, queue_id, life) for queue_id in life.links]
    found += [
        other for other in lives if life.queue_id in other.links and _nearest(lives, life.queue_id, other) is life
    ]
    return [each for each in found if each is not None]


def _nearest(lives: list[Life], queue_id: str, to: Life) -> Life | None:
    """An id is used again after a while: what a line names is the life that is nearest to it."""
    same = [life for life in lives if life.queue_id == queue_id]
    return min(same, key=lambda life: _distance(life, to), default=None)


def _distance(one: Life, two: Life) -> int:
    return max(one.first - two.last, two.first - one.last, 0)
