"""What `mailctl dkim` prints of keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mailctl.dkim.states import Stage

if TYPE_CHECKING:
    from mailctl.apply.keys import Waiting
    from mailctl.apply.rotate import Rotation
    from mailctl.cli.common import Session
    from mailctl.dkim.rotation import Step
    from mailctl.dkim.states import KeyState
    from mailctl.spec.model import Spec
    from mailctl.target import Target

MEANINGS = {
    Stage.PENDING: "waits for its record to be published",
    Stage.SIGNING: "signs",
    Stage.REPLACED: "signs no more; its record stays for mail in flight",
    Stage.RETIRED: "its record is to be emptied",
    Stage.DELETED: "gone; its record may be removed",
}
NO_KEY = "no key yet; an apply makes the first"
DONE = {
    "generate": "made {selector}; publish its record",
    "sign": "{selector} signs",
    "retire": "{selector} is retired; publish its empty record",
    "delete": "{selector} is deleted; its record may be removed",
}
AHEAD = {
    "generate": "make a new key ({selector})",
    "sign": "sign with {selector}",
    "retire": "retire {selector}",
    "delete": "delete {selector}",
}


def show_records(session: Session, states: Sequence[KeyState]) -> None:
    """The record of each key as a line of a zone file, after a comment that says how old it is."""
    from mailctl.dkim.keys import zone_line
    from mailctl.dkim.states import record_to_publish

    found = [(state, record_to_publish(session.host, state)) for state in states]
    lines = []
    for state, record in found:
        lines.append(f"; {state.key.selector}: {state.stage} since {state.since:%Y-%m-%d}; {MEANINGS[state.stage]}")
        if record is not None:
            lines.append(zone_line(state.key, record).decode().rstrip())
    data = {"keys": [{**_state(state), "record": record} for state, record in found]}
    session.emit("\n".join(lines) or f"; {NO_KEY}", data)


def show_status(session: Session, spec: Spec, target: Target, now: datetime) -> None:
    """The keys of every signed domain, and what comes next."""
    from mailctl.dkim.keys import signed_domains
    from mailctl.dkim.rotation import next_steps
    from mailctl.dkim.states import read_states, successor

    lines: list[str] = []
    domains: dict[str, Any] = {}
    for domain, dkim in signed_domains(spec):
        states = read_states(session.host, target, domain)
        steps = next_steps(spec, domain, states, now)
        lines += [
            domain,
            *(f"  {line}" for line in _state_lines(states, now, successor(states, dkim.selector)) or [NO_KEY]),
        ]
        lines += [f"  next: {_ahead(step)}" for step in steps]
        domains[domain] = {
            "current": successor(states, dkim.selector),
            "keys": [_state(state) for state in states],
            "steps": [_step(step) for step in steps],
        }
    session.emit("\n".join(lines) or "The spec signs no domain.", {"domains": domains})


def show_rotations(session: Session, rotations: Sequence[Rotation]) -> None:
    """What was done and what each domain waits for, with the record that is to be published."""
    from mailctl.dkim.keys import zone_line
    from mailctl.dkim.rotation import StepKind
    from mailctl.dkim.states import record_to_publish

    lines: list[str] = []
    for rotation in rotations:
        if rotation.done:
            lines.append(f"{rotation.domain}: {DONE[rotation.done.kind].format(selector=rotation.done.selector)}")
        states = {state.key.selector: state for state in rotation.states}
        for waiting in rotation.waiting:
            lines.append(f"{rotation.domain}: waits to {_words(AHEAD, waiting.step)}")
            lines += [f"  {reason}" for reason in waiting.reasons]
            state = states.get(waiting.step.selector)
            if state and waiting.step.kind in (StepKind.SIGN, StepKind.DELETE):
                record = record_to_publish(session.host, state)
                lines += [f"  publish: {zone_line(state.key, record).decode().rstrip()}"] if record else []
    session.emit("\n".join(lines), {"domains": [_rotation(each) for each in rotations]})


def _state_lines(states: Sequence[KeyState], now: datetime, current: str) -> list[str]:
    width = max((len(state.key.selector) for state in states), default=0)
    lines = []
    for state in states:
        age = (now - state.since).days
        by = f", by {state.replaced_by}" if state.stage is Stage.REPLACED else ""
        since = f"since {state.since:%Y-%m-%d} ({age} days){by}"
        waits = state.stage is Stage.PENDING and state.key.selector == current
        meaning = f"{MEANINGS[state.stage]}; the next apply signs with it" if waits else MEANINGS[state.stage]
        lines.append(f"{state.key.selector:<{width}}  {state.stage:<8}  {since}  {meaning}")
    return lines


def _ahead(step: Step) -> str:
    from mailctl.dkim.rotation import StepKind

    words = _words(AHEAD, step)
    match step.kind:
        case StepKind.SIGN:
            return f"{words}, once its record is published"
        case StepKind.DELETE:
            return f"{words}, once its record is emptied or removed"
        case _:
            return f"{words}, {f'from {step.due:%Y-%m-%d} on' if step.due else 'when you say so'}"


def _words(table: dict[str, str], step: Step) -> str:
    return table[step.kind].format(selector=step.selector)


def _state(state: KeyState) -> dict[str, Any]:
    moments = {name: getattr(state, name) for name in ("made", "signs", "replaced", "retired", "deleted")}
    return {
        "domain": state.key.domain,
        "selector": state.key.selector,
        "stage": state.stage.value,
        "name": state.key.record_name,
        "replaced_by": state.replaced_by,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }


def _step(step: Step) -> dict[str, Any]:
    return {"step": step.kind.value, "selector": step.selector, "due": step.due.isoformat() if step.due else None}


def _waiting(waiting: Waiting) -> dict[str, Any]:
    return {**_step(waiting.step), "reasons": list(waiting.reasons)}


def _rotation(rotation: Rotation) -> dict[str, Any]:
    return {
        "domain": rotation.domain,
        "done": _step(rotation.done) if rotation.done else None,
        "waiting": [_waiting(each) for each in rotation.waiting],
        "current": rotation.current,
        "keys": [_state(state) for state in rotation.states],
    }
