"""Where the values of a spec were written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from mailctl.errors import Origin

Path = Sequence[str | int]


class Origins(Protocol):
    """Finds places in the files a spec was read from."""

    @property
    def files(self) -> Collection[str]:
        """The spec and what it includes."""

    def text(self, file: str) -> str:
        """What one of the files held when it was read."""

    def find(self, path: Path) -> Origin:
        """Where the value at `path` stands; for a path that was not written, its nearest parent."""

    def find_key(self, path: Path) -> Origin:
        """Where the key that ends `path` stands."""

    def excerpt(self, origin: Origin) -> str:
        """The line of the file at `origin`, secrets masked; empty where there is none."""


class NoOrigins:
    """For specs made in memory."""

    @property
    def files(self) -> Collection[str]:
        return ()

    def text(self, file: str) -> str:
        return ""

    def find(self, path: Path) -> Origin:
        return Origin("<spec>")

    def find_key(self, path: Path) -> Origin:
        return Origin("<spec>")

    def excerpt(self, origin: Origin) -> str:
        return ""


NO_ORIGINS = NoOrigins()
