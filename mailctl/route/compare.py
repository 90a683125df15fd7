"""Where a server does otherwise than its spec says."""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.errors import Origin
from mailctl.route.model import Journey, Step, StepKind


@dataclass(frozen=True, slots=True)
class Difference:
    """What the spec says of an address, and what the server does; one of them may be nothing."""

    kind: StepKind
    address: str
    spec: str
    server: str
    origin: Origin | None = None


def differences(spec: Journey, server: Journey) -> list[Difference]:
    """Every step only one of two journeys of the same mail takes, those of one kind and address side by side."""
    wanted, found = _by_subject(spec, server), _by_subject(server, spec)
    return [_difference(*subject, wanted.get(subject, []), found.get(subject, [])) for subject in {**wanted, **found}]


def _by_subject(journey: Journey, other: Journey) -> dict[tuple[StepKind, str], list[Step]]:
    """The steps `other` does not take."""
    others = {(step.kind, step.address, step.says) for step in other.steps}
    grouped: dict[tuple[StepKind, str], list[Step]] = {}
    for step in journey.steps:
        if (step.kind, step.address, step.says) not in others:
            grouped.setdefault((step.kind, step.address), []).append(step)
    return grouped


def _difference(kind: StepKind, address: str, wanted: list[Step], found: list[Step]) -> Difference:
    origin = next((step.origin for step in wanted), None)
    return Difference(kind, address, _words(wanted), _words(found), origin)


def _words(steps: list[Step]) -> str:
    return "; ".join(step.says for step in steps)
