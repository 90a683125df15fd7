"""One JSON object a line: each message while it had one queue id, and each refusal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailctl.maillog.anonymise import Anonymiser
from mailctl.maillog.formats.safe import to_json
from mailctl.maillog.trace import Life
from mailctl.maillog.trace.json import life_as_json


def render(lives: Iterable[Life], anonymiser: Anonymiser | None = None) -> Iterator[str]:
    """A line as soon as the life is over; those that are not follow at the end."""
    for life in lives:
        data = life_as_json(life)
        yield to_json(anonymiser.data(data) if anonymiser else data)
