"""A journey for people: one block per address, each line with the place in the spec that decides it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from mailctl.errors import Origin
from mailctl.route.compare import Difference
from mailctl.route.model import Journey, Step, StepKind

LABEL_WIDTH = 11
WIDEST_TEXT = 90
AFTER_REFUSAL = "  Were it taken:"
NOTHING = "nothing of the kind"


def render_text(journey: Journey) -> str:
    """The steps in the order in which they happen."""
    width = _width(step.says for step in journey.steps if step.origin)
    blocks = groupby(journey.steps, key=lambda step: step.address)
    return "\n".join(line for address, steps in blocks for line in _block(address, steps, width))


def render_differences(found: Sequence[Difference]) -> str:
    """What the server does otherwise, spec and server below each other."""
    width = _width(each.spec for each in found)
    return "\n".join(line for each in found for line in _difference(each, width))


def _block(address: str, steps: Iterable[Step], width: int) -> Iterator[str]:
    yield address
    for step in steps:
        yield _line(step.kind, step.says, step.origin, width)
        if step.kind is StepKind.REFUSED:
            yield AFTER_REFUSAL


def _difference(found: Difference, width: int) -> Iterator[str]:
    yield f"{found.address}, {found.kind}: the server differs"
    yield _line("spec", found.spec or NOTHING, found.origin, width)
    yield _line("server", found.server or NOTHING, None, width)


def _line(label: str, says: str, origin: Origin | None, width: int) -> str:
    text = f"  {label:<{LABEL_WIDTH}}"
    return f"{text}{says:<{width}}  {origin}" if origin else f"{text}{says}"


def _width(texts: Iterable[str]) -> int:
    """A column for the places that fits most lines."""
    return max((len(text) for text in texts if len(text) <= WIDEST_TEXT), default=0)
