"""What comes next in the life of a domain's keys, and what the DNS must show before; pure.

generate · publish · wait until every server of the zone shows it · sign · wait for mail in flight · retire · delete
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mailctl.dkim.public_key import PublicKeyRecord
from mailctl.dkim.states import KeyState, Stage, changed, successor
from mailctl.spec.model import Spec

# A message may wait that long in a queue, ours or another's, and must verify when it arrives: maximal_queue_lifetime.
QUEUE_LIFETIME = timedelta(days=5)
MARGIN = timedelta(days=2)
_POSTFIX_TIME = re.compile(r"(\d{1,4})([smhdw]?)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks", "": "days"}
_DATED = re.compile(r"(.*?)(20\d\d)[a-z]*")


class StepKind(StrEnum):
    """What can be done to a key."""

    GENERATE = "generate"
    SIGN = "sign"
    RETIRE = "retire"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is to be made; `due` is the earliest moment, None where only a person starts it."""

    kind: StepKind
    selector: str
    due: datetime | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one server of the zone shows: TXT records, or why it shows none."""

    server: str
    records: tuple[str, ...] = ()
    absence: str = ""  # the server says that nothing is there
    failure: str = ""  # nobody knows what it would say


def flight_time(spec: Spec) -> timedelta:
    """How long the record of a key that signs no more must stay."""
    match = _POSTFIX_TIME.fullmatch(spec.postfix.main.get("maximal_queue_lifetime", ""))
    ours = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else QUEUE_LIFETIME
    return max(ours, QUEUE_LIFETIME) + MARGIN


def next_steps(spec: Spec, domain: str, states: Sequence[KeyState], now: datetime) -> tuple[Step, ...]:
    """Every step ahead for the keys of a signed domain, the one to make first in front.

    A new key waits until no other is new, or was just replaced: so two keys are published at a time, not three.
    The first key is no step: an apply makes it.
    """
    dkim = spec.domains[domain].dkim
    if dkim is None or not states:
        return ()
    current = successor(states, dkim.selector)
    is_waiting_for_apply = any(each.key.selector == current and each.stage is Stage.PENDING for each in states)
    states = settle(states, current, now)
    stages = {state.stage for state in states}
    steps = [Step(StepKind.SIGN, each.key.selector, each.made) for each in states if each.stage is Stage.PENDING]
    steps += [
        Step(StepKind.RETIRE, each.key.selector, each.replaced + flight_time(spec))
        for each in states
        if each.stage is Stage.REPLACED and each.replaced
    ]
    steps += [Step(StepKind.DELETE, each.key.selector, each.retired) for each in states if each.stage is Stage.RETIRED]
    if not stages & {Stage.PENDING, Stage.REPLACED} and not is_waiting_for_apply:
        began = next((each.signs for each in states if each.key.selector == current), None)
        due = began + timedelta(seconds=dkim.rotate) if began and dkim.rotate else None
        steps.append(Step(StepKind.GENERATE, next_selector(states, current, now), due))
    return tuple(steps)


def settle(states: Sequence[KeyState], current: str, now: datetime) -> tuple[KeyState, ...]:
    """The states once what the spec says is taken into account.

    A spec that names another key makes that one sign; those that signed before were replaced by it.
    """
    for state in states:
        if state.key.selector == current and state.stage is Stage.PENDING:
            states = changed(states, current, signs=now)
        elif state.key.selector != current and state.stage is Stage.SIGNING:
            states = changed(states, state.key.selector, replaced=now, replaced_by=current)
    return tuple(states)


def promoted(states: Sequence[KeyState], current: str, selector: str, now: datetime) -> tuple[KeyState, ...]:
    """The states when `selector` signs in place of `current`."""
    return changed(changed(states, current, replaced=now, replaced_by=selector), selector, signs=now)


def next_selector(states: Iterable[KeyState], current: str, now: datetime) -> str:
    """A selector this domain never had, named after the year: `s2026a` is followed by `s2026b`, later by `s2027a`."""
    used = {state.key.selector for state in states} | {current}
    match = _DATED.fullmatch(current)
    prefix = match[1] if match else f"{current}-"
    letters = itertools.chain.from_iterable(
        map("".join, itertools.product(string.ascii_lowercase, repeat=length)) for length in itertools.count(1)
    )
    return next(name for letter in letters if (name := f"{prefix}{now.year}{letter}") not in used)


def not_published(record: str, sightings: Sequence[Sighting]) -> Iterator[str]:
    """Why a key must not sign yet: what each server that does not show `record` says."""
    if not sightings:
        yield "the servers of the zone cannot be found"
    wanted = PublicKeyRecord.parse(record)
    for each in sightings:
        if each.absence or each.failure:
            yield f"{each.server}: {each.absence or each.failure}"
        elif len(each.records) != 1:
            yield f"{each.server}: {len(each.records)} records instead of one"
        elif not wanted.same_key(each.records[0]):
            yield f"{each.server}: it shows another key"


def not_revoked(sightings: Sequence[Sighting]) -> Iterator[str]:
    """Why a retired key must be kept: what each server says that still shows a key."""
    if not sightings:
        yield "the servers of the zone cannot be found"
    for each in sightings:
        if each.failure:
            yield f"{each.server}: {each.failure}"
        elif not each.absence and not all(map(_is_empty, each.records)):
            yield f"{each.server}: it still shows the key"


def _is_empty(record: str) -> bool:
    try:
        return PublicKeyRecord.parse(record).key == ""
    except ValueError:
        return True
