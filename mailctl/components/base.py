"""What a component is, and the parts a component may lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

from mailctl.errors import Problem
from mailctl.host import Host
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

if TYPE_CHECKING:
    from mailctl.spec.model import Spec


class ReloadKind(StrEnum):
    """What a change asks of a service, mildest first."""

    NOTHING = "nothing"
    RELOAD = "reload"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Action:
    """What one service must do after a switch, and why: `Postfix: restart (inet_interfaces changed)`."""

    service: str
    kind: ReloadKind
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """A tree that lies ready below `folder` of the host under its real paths: folder/etc/postfix/main.cf.

    Table directories are not below `folder`: they stand at their final path before the check.
    """

    folder: PurePosixPath
    tree: Tree

    def path(self, path: PurePosixPath) -> PurePosixPath:
        """Where the file meant for `path` is staged."""
        return self.folder / path.relative_to("/")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A service by all its names; `process` is what the kernel calls its master process (/proc/PID/comm)."""

    name: str
    unit: str
    process: str
    pid_file: PurePosixPath


class Component(Protocol):
    """A managed service: a package whose module satisfies this."""

    NAME: str

    def enabled(self, spec: Spec) -> bool:
        """Whether this spec needs the service at all."""

    def required_users(self, spec: Spec, target: Target) -> tuple[str, ...]:
        """System users that must exist before anything is written."""

    def required_programs(self, spec: Spec) -> tuple[str, ...]:
        """Programs that must be installed before anything is written."""

    def missing(self, host: Host, tree: Tree) -> list[Problem]:
        """What the files in `tree` need besides, and this machine lacks."""

    def daemon(self, target: Target) -> Daemon | None:
        """The process that serves; None where nothing runs."""

    def render(self, spec: Spec, target: Target) -> Iterable[RenderedFile | RenderedDirectory]:
        """Its files; pure: no clock, no environment, same input same bytes."""

    def build(self, host: Host, spec: Spec, target: Target, tree: Tree) -> list[Problem]:
        """Make on the host what is not rendered: indexed tables in the new table directory, keys kept for ever."""

    def check(self, host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
        """What the service's own checkers say of the staged files, and what they miss."""

    def action(self, before: Tree, after: Tree) -> Action:
        """What the service must do when `before` becomes `after` (first apply: `before` is empty)."""

    def perform(self, host: Host, target: Target, action: Action) -> None:
        """Reload, restart or start the live service.

        Raises:
            MailctlError: it did not come back.
        """

    def verify(self, host: Host, tree: Tree, target: Target) -> list[Problem]:
        """What is wrong with the live service, which shall serve the files in `tree`; going back has no spec."""


def always_enabled(spec: Spec) -> bool:
    return True


def nothing_missing(host: Host, tree: Tree) -> list[Problem]:
    return []


def nothing_to_verify(host: Host, tree: Tree, target: Target) -> list[Problem]:
    return []
