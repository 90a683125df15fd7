"""What the host holds at the paths a plan is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mailctl.errors import Origin, Problem, Severity
from mailctl.host import FileState, Host
from mailctl.plan.stored import Entry, missing_tables
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

# The one parameter through which main.cf names the table directory of its generation.
_TABLES_PARAMETER = re.compile(rb"^mailctl_tables\s*=\s*(\S+)\s*$", re.MULTILINE)

Known = RenderedFile | Entry


@dataclass(frozen=True, slots=True)
class Actual:
    """Files and directories found; `unreadable` names those this user may not read."""

    tree: Tree
    unreadable: frozenset[str]
    problems: tuple[Problem, ...]


def read_actual(
    host: Host,
    target: Target,
    files: Iterable[Known],
    directories: Iterable[RenderedDirectory],
) -> Actual:
    """The live state of `files` (lookup tables by their names, wherever main.cf finds them) and `directories`.

    A table directory that lacks one of its indexed tables counts as not there.
    """
    reader = _Reader(host)
    known = list(files)
    found = [reader.read(file.path, file) for file in known if not file.is_table]
    tables = live_tables_dir(host, target)
    if tables is not None and reader.is_complete(tables):
        names = {file.path.name: file for file in known if file.is_table}
        found += [reader.read(tables / name, file) for name, file in names.items()]
    present = [file for file in found if file is not None]
    standing = [read_directory(host, each.path) for each in directories]
    tree = Tree.of([*present, *(each for each in standing if each is not None)])
    return Actual(tree, frozenset(reader.unreadable), tuple(reader.problems))


def live_tables_dir(host: Host, target: Target) -> PurePosixPath | None:
    """The table directory the live main.cf names; None where it names none of ours."""
    match = _TABLES_PARAMETER.search(host.read(target.postfix_dir / "main.cf") or b"")
    path = PurePosixPath(match[1].decode(errors="replace")) if match else None
    return path if path is not None and path.parent == target.generations_dir else None


def read_directory(host: Host, path: PurePosixPath) -> RenderedDirectory | None:
    """The directory at `path` as it stands; None where none is, or it cannot be seen."""
    try:
        state = host.stat(path)
    except PermissionError:
        return None
    if state is None or not state.is_directory:
        return None
    return RenderedDirectory(path, state.mode, state.owner, state.group)


def without_owner(host: Host, tree: Tree) -> Tree:
    """`tree` as a host that cannot give files to other users would hold it."""
    if host.sets_owners():
        return tree
    files: Mapping[PurePosixPath, RenderedFile] = {
        path: replace(file, owner="", group="") for path, file in tree.files.items()
    }
    return Tree(files, tuple(replace(each, owner="", group="") for each in tree.directories))


class _Reader:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.unreadable: list[str] = []
        self.problems: list[Problem] = []

    def read(self, path: PurePosixPath, known: Known) -> RenderedFile | None:
        try:
            state = self.host.stat(path)
            if state is None or not self._is_file(path, state):
                return None
            content = self.host.read(path) or b""
        except PermissionError:
            self.unreadable.append(path.name if known.is_table else str(path))
            self._note(path, "cannot be read without root; it is not compared", Severity.WARNING)
            return None
        return RenderedFile(path, content, state.mode, state.owner, state.group, known.is_secret, known.is_table)

    def is_complete(self, tables: PurePosixPath) -> bool:
        try:
            missing = missing_tables(self.host, tables)
        except PermissionError:
            return True
        if missing:
            self._note(tables, f"lacks {', '.join(missing)}; it is made again", Severity.WARNING)
        return not missing

    def _is_file(self, path: PurePosixPath, state: FileState) -> bool:
        if state.is_symlink or state.is_directory:
            kind = "symlink" if state.is_symlink else "directory"
            self._note(path, f"is a {kind}; mailctl writes regular files only", Severity.ERROR)
            return False
        return True

    def _note(self, path: PurePosixPath, message: str, severity: Severity) -> None:
        self.problems.append(Problem(Origin(str(path)), "", message, severity=severity))
