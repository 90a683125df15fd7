"""What a server does, in mail terms: one entry per mailbox, alias, route or setting.

Kept with every generation, so that the next plan can tell what changes for people. Secrets are in
it as digests that only serve to notice a change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailctl.spec.derive import SpecPath

TARGETS = "→"
PASSWORD = "password"  # noqa: S105 - the name of a fact
ADDRESS_KINDS = frozenset({"mailbox", "smtp-user", "alias", "pattern alias"})

Key = tuple[str, str]
Facts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Facts by (kind, name); `paths` says which spec value an entry comes from, where a spec is at hand."""

    salt: str = field(repr=False)
    entries: Mapping[Key, Facts]
    paths: Mapping[Key, SpecPath] = field(default_factory=dict, repr=False)

    @classmethod
    def empty(cls) -> Inventory:
        """Before the first apply; later inventories keep its salt, so that their digests compare."""
        return cls(os.urandom(16).hex(), {})

    def as_json(self) -> dict[str, Any]:
        kinds: dict[str, dict[str, Facts]] = {}
        for (kind, name), facts in self.entries.items():
            kinds.setdefault(kind, {})[name] = facts
        return {"salt": self.salt, "kinds": kinds}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Inventory:
        """Raises KeyError, TypeError, AttributeError where `data` has another shape."""
        entries = {(kind, name): facts for kind, names in data["kinds"].items() for name, facts in names.items()}
        return cls(str(data["salt"]), entries)
