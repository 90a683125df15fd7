"""Files as values: what a component renders, what the host holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

PUBLIC_MODE = 0o644
SECRET_MODE = 0o600


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file: its absolute path on the target, its bytes, and who may read it.

    A secret file is never shown: diffs name it and say that it changed.
    `is_table` marks the source text of a Postfix lookup table, which lives in the
    immutable table directory of a generation and is compared row by row.
    """

    path: PurePosixPath
    content: bytes = field(repr=False)
    mode: int = PUBLIC_MODE
    owner: str = "root"
    group: str = "root"
    is_secret: bool = False
    is_table: bool = False

    @property
    def name(self) -> str:
        """How a person calls it: `virtual_alias` for a table, the path for other files."""
        return self.path.name if self.is_table else str(self.path)

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class RenderedDirectory:
    """A directory that must exist with this mode and owner; never removed, its content is not ours."""

    path: PurePosixPath
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Tree:
    """Rendered files by path, in path order, and the directories they need."""

    files: Mapping[PurePosixPath, RenderedFile]
    directories: tuple[RenderedDirectory, ...] = ()

    @classmethod
    def of(cls, items: Iterable[RenderedFile | RenderedDirectory]) -> Tree:
        """The tree of `items`; two files for one path are a fault of the components, hence ValueError.

        Components may ask for the same directory, with the same mode and owner.
        """
        files: dict[PurePosixPath, RenderedFile] = {}
        directories: dict[PurePosixPath, RenderedDirectory] = {}
        for item in items:
            if isinstance(item, RenderedDirectory):
                if directories.setdefault(item.path, item) != item:
                    raise ValueError(f"two components want {item.path} otherwise")
            elif item.path in files:
                raise ValueError(f"two components render {item.path}")
            else:
                files[item.path] = item
        return cls(dict(sorted(files.items())), tuple(sorted(directories.values(), key=lambda each: each.path)))

    def __iter__(self) -> Iterator[RenderedFile]:
        return iter(self.files.values())

    def __len__(self) -> int:
        return len(self.files)
