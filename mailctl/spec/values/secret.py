"""A value nobody may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "variable "


@dataclass(frozen=True, slots=True)
class Secret:
    """A value nobody may see; `origin` tells where it came from (`file secrets/ses`), never what it is.

    `path` is the file it was read from, if one.
    """

    value: str = field(repr=False)
    origin: str
    path: Path | None = field(default=None, compare=False)

    @property
    def is_from_environment(self) -> bool:
        return self.origin.startswith(VARIABLE)

    def __str__(self) -> str:
        return "********"
