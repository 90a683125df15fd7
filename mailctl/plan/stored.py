"""Reading what earlier applies kept: generations, their files and inventories. Writing is mailctl.apply's.

Below the state folder:
    current                  the number of the generation that serves
    history/<number>/        meta.json, manifest.json, inventory.json, inputs.json, plan.txt, spec.yml, tree/<path>
    history/0/               the files found before mailctl first wrote them: manifest.json, tree/<path>
    generations/<digest>/    lookup tables, shared by the generations that have the same ones
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.plan.inputs import Inputs
from mailctl.plan.inventory import Inventory
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

Result = TypeVar("Result")

ORIGINALS = 0
# Names what belongs in a table directory; written when all of it is there.
COMPLETE = ".complete"


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a generation; `time` is UTC in ISO 8601, `tables` the digest its lookup tables have.

    `previous` is the generation that served until it was applied; 0 where none of ours did. `canary` tells how many
    checks a canary passed before, and in how many seconds; None where there was none.
    """

    number: int
    previous: int
    time: str
    who: str
    summary: str
    version: str
    spec_sha256: str
    tables: str
    canary: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a manifest; `sha256` is None for a file that was not there before the first apply."""

    path: PurePosixPath
    sha256: str | None
    mode: int = 0
    owner: str = ""
    group: str = ""
    is_secret: bool = False
    is_table: bool = False

    @classmethod
    def of(cls, file: RenderedFile) -> Entry:
        return cls(file.path, file.digest, file.mode, file.owner, file.group, file.is_secret, file.is_table)

    def file(self, content: bytes) -> RenderedFile:
        return RenderedFile(self.path, content, self.mode, self.owner, self.group, self.is_secret, self.is_table)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        return cls(**{**data, "path": PurePosixPath(data["path"])})


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files and directories of a generation."""

    entries: Mapping[PurePosixPath, Entry]
    directories: tuple[RenderedDirectory, ...] = ()

    @classmethod
    def of(cls, tree: Tree) -> Manifest:
        return cls({file.path: Entry.of(file) for file in tree}, tree.directories)

    def as_json(self) -> dict[str, Any]:
        return {
            "files": [each.as_json() for each in self.entries.values()],
            "directories": [{**asdict(each), "path": str(each.path)} for each in self.directories],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        files = [Entry.from_json(each) for each in data["files"]]
        directories = tuple(
            RenderedDirectory(**{**each, "path": PurePosixPath(each["path"])}) for each in data["directories"]
        )
        return cls({each.path: each for each in files}, directories)


NO_MANIFEST = Manifest({})


def history_dir(target: Target) -> PurePosixPath:
    return target.state_dir / "history"


def generation_dir(target: Target, number: int) -> PurePosixPath:
    return history_dir(target) / str(number)


def stored_path(folder: PurePosixPath, path: PurePosixPath) -> PurePosixPath:
    """Where the generation in `folder` keeps its copy of `path`."""
    return folder / "tree" / path.relative_to("/")


def read_current(host: Host, target: Target) -> int | None:
    """The number of the generation that serves; None before the first apply, 0 after a rollback to before it."""
    text = host.read(target.state_dir / "current")
    if text is None:
        return None
    return _parse(target.state_dir / "current", lambda: int(text))


def read_numbers(host: Host, target: Target) -> list[int]:
    """The generations there are, oldest first, without the files found before the first apply."""
    return sorted(int(name) for name in host.list_directory(history_dir(target)) if name.isdigit() and name != "0")


def read_meta(host: Host, target: Target, number: int) -> Meta:
    """Raises MailctlError where it is missing or damaged, as all that reads a generation."""
    return _read_json(host, generation_dir(target, number) / "meta.json", lambda data: Meta(**data))


def read_manifest(host: Host, target: Target, number: int | None) -> Manifest:
    """What generation `number` manages; nothing before the first apply and for the files found before it."""
    if not number:
        return NO_MANIFEST
    return _read_json(host, generation_dir(target, number) / "manifest.json", Manifest.from_json)


def read_inventory(host: Host, target: Target, number: int | None) -> Inventory:
    """What generation `number` does; an empty one before the first apply."""
    if not number:
        return Inventory.empty()
    return _read_json(host, generation_dir(target, number) / "inventory.json", Inventory.from_json)


def read_inputs(host: Host, target: Target, number: int) -> Inputs | None:
    """What generation `number` was made from; None where that was not kept."""
    path = generation_dir(target, number) / "inputs.json"
    return None if host.stat(path) is None else _read_json(host, path, Inputs.from_json)


def read_tree(host: Host, target: Target, number: int | None) -> Tree:
    """The files of generation `number`, checked against the digests of its manifest.

    Raises:
        MailctlError: the generation is missing or damaged.
    """
    manifest = read_manifest(host, target, number)
    if not number:
        return Tree({})
    return Tree.of([*_read_files(host, target, number, manifest.entries.values()), *manifest.directories])


def read_original_manifest(host: Host, target: Target) -> Manifest:
    """What was found before the first apply, the places where nothing was included."""
    path = generation_dir(target, ORIGINALS) / "manifest.json"
    return NO_MANIFEST if host.stat(path) is None else _read_json(host, path, Manifest.from_json)


def read_originals(host: Host, target: Target, paths: Iterable[PurePosixPath]) -> list[RenderedFile]:
    """What was at `paths` before mailctl first wrote them; nothing for paths where no file was."""
    wanted = list(paths)
    # Nothing is read for nothing: without root nothing could be.
    entries = read_original_manifest(host, target).entries if wanted else {}
    found = [entries[path] for path in wanted if path in entries and entries[path].sha256 is not None]
    return _read_files(host, target, ORIGINALS, found)


def tables_dir(tree: Tree) -> PurePosixPath | None:
    """The one directory of all lookup tables of `tree`; None where it has none."""
    folders = {file.path.parent for file in tree if file.is_table}
    if len(folders) > 1:
        raise ValueError(f"lookup tables in several directories: {', '.join(map(str, sorted(folders)))}")
    return folders.pop() if folders else None


def missing_tables(host: Host, directory: PurePosixPath) -> list[str]:
    """What a table directory lacks; nothing where tables are not built (`--root`)."""
    if not host.is_live():
        return []
    names = host.read(directory / COMPLETE)
    return (
        [COMPLETE]
        if names is None
        else sorted({*names.decode().splitlines()}.difference(host.list_directory(directory)))
    )


def _read_files(host: Host, target: Target, number: int, entries: Iterable[Entry]) -> list[RenderedFile]:
    folder = generation_dir(target, number)
    files = []
    for entry in entries:
        # Lookup tables are not kept twice: their directory is immutable and stays as long as the generation.
        path = entry.path if entry.is_table else stored_path(folder, entry.path)
        file = entry.file(host.read(path) or b"")
        if file.digest != entry.sha256:
            raise MailctlError(
                f"generation {number} is damaged: {path} is not what was stored",
                hint="`mailctl history` lists the others",
            )
        files.append(file)
    return files


def _read_json(host: Host, path: PurePosixPath, make: Callable[[Any], Result]) -> Result:
    content = host.read(path)
    if content is None:
        raise MailctlError(f"{path} is missing", hint="`mailctl history` lists the generations there are")
    return _parse(path, lambda: make(json.loads(content)))


def _parse(path: PurePosixPath, parse: Callable[[], Result]) -> Result:
    try:
        return parse()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MailctlError(f"{path} is damaged: {error}", hint="restore it from a backup") from error
