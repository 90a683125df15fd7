"""The order of system calls that power loss asks for: what a rename makes visible is on disk before it and after it.

Reads a trace of `strace -y`, of one process or with `-f` of those it starts too. A file is safe once fsync(2) follows
its last write; a name in a directory once fsync of the directory follows the call that made or took it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tests.crash.sweep import CALL

PATH = re.compile(r'"([^"]*)"')
OPEN_FILE = re.compile(r"^\d+<([^>]*)>")
RESULT_FILE = re.compile(r"<([^>]*)>")
BEGUN = re.compile(r"(\d+) +(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
WRITES = ("write", "writev", "pwrite64", "fchmod", "fchown", "ftruncate")


@dataclass
class Disk:
    """What would be lost if the power went now, and what was risked so far; `known` is what there is."""

    root: PurePosixPath
    known: set[PurePosixPath] = field(default_factory=set)
    files: set[PurePosixPath] = field(default_factory=set)
    directories: set[PurePosixPath] = field(default_factory=set)
    replaced_in: set[PurePosixPath] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    renames: int = 0

    def play(self, trace: str) -> None:
        """Follow a whole trace; calls that failed change nothing."""
        for line in _whole_calls(trace):
            match = CALL.match(line)
            if match and not match["result"].startswith("-1"):
                self._call(match["name"], match["arguments"], match["result"])

    def lost_below(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Files and directories below `folder` that a power loss now would leave without their newest content."""
        return sorted(path for path in self.files | self.directories if path.is_relative_to(folder))

    def _call(self, name: str, arguments: str, result: str) -> None:
        opened = OPEN_FILE.match(arguments)
        named = [PurePosixPath(each) for each in PATH.findall(arguments)]
        if name in WRITES and opened:
            self._touch(self.files, [PurePosixPath(opened[1])])
        elif name == "openat" and "O_CREAT" in arguments:
            found = RESULT_FILE.search(result)
            if found:
                self._make(PurePosixPath(found[1]))
        elif name in ("fsync", "fdatasync") and opened:
            self.files.discard(PurePosixPath(opened[1]))
            self.directories.discard(PurePosixPath(opened[1]))
            self.replaced_in.discard(PurePosixPath(opened[1]))
        elif name in ("mkdir", "unlink", "rmdir"):
            self._forget(named[0])
            self._touch(self.directories, [named[0].parent])
        elif name in ("link", "linkat"):
            self._touch(self.directories, [named[-1].parent])
        elif name == "unlinkat" and opened:
            self._forget(PurePosixPath(opened[1]) / named[0])
        elif name == "rename":
            self._rename(named[0], named[1])

    def _rename(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        self.renames += 1
        if _is_nameless(source.parent):
            # The program that built a table need not see to its safety: nobody reads it before the folder has its name.
            self._touch(self.files, [destination] if source in self.files else [])
            self._forget(source)
            self._touch(self.directories, [source.parent])
            return
        for path in self.lost_below(source):
            self.faults.append(f"{source} was renamed while {path} was not on disk")
        journal = self.root / "var/lib/mailctl/journal"
        if destination.is_relative_to(self.root / "etc") and self.lost_below(journal):
            self.faults.append(f"{destination} was replaced before the journal was on disk")
        self.faults.extend(f"{destination} was replaced before {each} was on disk" for each in self.replaced_in)
        self._forget(source)
        self._touch(self.directories, [source.parent, destination.parent])
        self.replaced_in.add(destination.parent)

    def _make(self, path: PurePosixPath) -> None:
        if path not in self.known:
            self.known.add(path)
            self._touch(self.directories, [path.parent])

    def _touch(self, kind: set[PurePosixPath], paths: Iterable[PurePosixPath]) -> None:
        kind.update(path for path in paths if path.is_relative_to(self.root))

    def _forget(self, gone: PurePosixPath) -> None:
        for kind in (self.files, self.directories, self.known):
            kind.difference_update({path for path in kind if path.is_relative_to(gone)})


def _is_nameless(folder: PurePosixPath) -> bool:
    """Whether this is a folder in the making, which gets the name by which it is known when it is whole."""
    return folder.name.startswith(".new-")


def _whole_calls(trace: str) -> Iterator[str]:
    """The lines of `trace`, where a call during which another process got its turn is one line again."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        if match := BEGUN.match(line):
            begun[match[1]] = match[2]
        elif match := RESUMED.match(line):
            yield f"{begun.pop(match[1], '')}{match[2]}"
        else:
            yield line
