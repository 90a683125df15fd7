"""What a change of the server means, as values: effects in mail terms, files, services."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from mailctl.components.base import Action as ServiceAction
from mailctl.components.base import ReloadKind
from mailctl.errors import Origin, Problem, printable
from mailctl.plan.inputs import Inputs
from mailctl.plan.inventory import Inventory
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree


class Action(StrEnum):
    """What happens to one thing."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"

    @property
    def marker(self) -> str:
        """The character that starts its line in a plan."""
        return {Action.ADD: "+", Action.CHANGE: "~", Action.REMOVE: "-"}[self]


@dataclass(frozen=True, slots=True)
class Effect:
    """One difference an administrator of mail would name: `+ mailbox carol@example.org  quota 2G`.

    `origin` is where the spec says so; None for what the spec no longer holds.
    """

    action: Action
    kind: str
    name: str
    detail: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One file that will be made, replaced or removed; None stands for no file."""

    before: RenderedFile | None
    after: RenderedFile | None

    @property
    def file(self) -> RenderedFile:
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a change of nothing into nothing is never made
        return found

    @property
    def path(self) -> PurePosixPath:
        return self.file.path

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def is_secret(self) -> bool:
        return any(file.is_secret for file in (self.before, self.after) if file)

    @property
    def is_table(self) -> bool:
        return self.file.is_table

    @property
    def action(self) -> Action:
        if self.before is None:
            return Action.ADD
        return Action.REMOVE if self.after is None else Action.CHANGE


@dataclass(frozen=True, slots=True)
class DirectoryChange:
    """One directory that will be made, or gets another mode or owner."""

    before: RenderedDirectory | None
    after: RenderedDirectory

    @property
    def action(self) -> Action:
        return Action.ADD if self.before is None else Action.CHANGE


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as mailctl left it; None stands for nothing.

    `name` is a parameter of main.cf, a service of master.cf or a lookup key; empty for lines of other files,
    which stand in `text` as a diff shows them.
    """

    path: PurePosixPath
    name: str
    ours: str | None = None
    theirs: str | None = None
    text: str = ""

    def __str__(self) -> str:
        if not self.name:
            return printable(self.text)
        if self.theirs is None:
            return printable(f"{self.name} was removed (mailctl wrote {self.ours})")
        was = "not set by mailctl" if self.ours is None else f"mailctl wrote {self.ours or 'nothing'}"
        return printable(f"{self.name} = {self.theirs} ({was})")


@dataclass(frozen=True, slots=True)
class Addresses:
    """How many mailboxes, smtp-users and aliases there were, and how many of them go away."""

    before: int
    removed: int


NO_ADDRESSES = Addresses(0, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that applying would do, and what it was worked out from.

    `tree` is what the next generation holds; `desired` adds the files found before the first apply,
    for those paths the next generation no longer manages; `actual` is what the host holds now.
    `number` is the generation that serves now, None before the first apply.
    `drift` names files changed by hand since then, `drift_details` says what in them.
    `digest` binds the plan to both sides. `inputs` is what it was made from, where it can be made from that again.
    """

    effects: tuple[Effect, ...]
    changes: tuple[Change, ...]
    directories: tuple[DirectoryChange, ...]
    services: tuple[ServiceAction, ...]
    problems: tuple[Problem, ...]
    drift: tuple[PurePosixPath, ...]
    drift_details: tuple[Drift, ...]
    addresses: Addresses
    number: int | None
    digest: str
    tree: Tree = field(repr=False)
    desired: Tree = field(repr=False)
    actual: Tree = field(repr=False)
    inventory: Inventory = field(repr=False)
    inputs: Inputs | None = field(default=None, repr=False)

    @property
    def is_empty(self) -> bool:
        return not (self.changes or self.directories)

    @property
    def counts(self) -> Mapping[Action, int]:
        """How many effects there are of each kind; of files, where no effect explains them."""
        if self.effects:
            return Counter(each.action for each in self.effects)
        return Counter([*(each.action for each in self.changes), *(each.action for each in self.directories)])

    @property
    def pending_services(self) -> tuple[ServiceAction, ...]:
        """The services that must do something."""
        return tuple(each for each in self.services if each.kind is not ReloadKind.NOTHING)


def shown_directories(directories: Iterable[RenderedDirectory], target: Target) -> list[RenderedDirectory]:
    """Without those of lookup tables: they are made with their tables, and their digests serve nobody who reads."""
    return [each for each in directories if each.path.parent != target.generations_dir]


def plan_digest(number: int | None, *trees: Tree) -> str:
    """What binds a plan to the generation that serves and to every file of both sides."""
    digest = hashlib.sha256(str(number).encode())
    for tree in trees:
        for file in tree:
            digest.update(f"\n{file.path} {file.mode:o} {file.owner}:{file.group} {file.digest}".encode())
        digest.update(repr(tree.directories).encode())
    return digest.hexdigest()
