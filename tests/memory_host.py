"""A host in memory: files as values, programs as functions, and faults at the moment a test wants them.

Every effect (a write, a rename, a program) is counted. `break_at` makes the effect of that number fail;
`PowerCut` ends the machine there until `repair`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath

from mailctl.errors import BusyError
from mailctl.host import Completed, FileState

Program = Callable[[tuple[str, ...], bytes], Completed]
SECOND = 10**9


class PowerCut(BaseException):
    """The machine lost power: no code of ours runs any more."""


@dataclass(frozen=True)
class Node:
    """A file (or, without content, a directory) and its inode."""

    content: bytes | None
    mode: int
    owner: str
    group: str
    mtime_ns: int
    inode: int


@dataclass
class MemoryHost:
    """A live host whose user is root. `programs` answers by name; a program not named there succeeds in silence.

    `root_only` names what lies beyond the reach of an ordinary user.
    """

    nodes: dict[PurePosixPath, Node] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    missing_programs: set[str] = field(default_factory=set)
    missing_users: set[str] = field(default_factory=set)
    symlinks: set[PurePosixPath] = field(default_factory=set)
    root_only: set[PurePosixPath] = field(default_factory=set)
    is_ordinary_user: bool = False
    free: int = 2**40
    effects: int = 0
    fail_at: int = 0
    failure: BaseException | None = None
    keeps_failing: bool = False
    is_off: bool = False
    log: list[str] = field(default_factory=list)
    locked: set[PurePosixPath] = field(default_factory=set)
    _inodes: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def put(self, path: str, content: str, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        """A file that is there before anything happens."""
        self._make_parents(PurePosixPath(path))
        self._set(PurePosixPath(path), content.encode(), mode, owner, group)

    def files(self, below: str = "/") -> dict[str, Node]:
        """Every file below a folder."""
        return {
            str(path): node
            for path, node in sorted(self.nodes.items())
            if node.content is not None and path.is_relative_to(below)
        }

    def break_at(self, effect: int, failure: BaseException, *, for_good: bool = False) -> None:
        """Make the effect of that number, counted from here, fail; `for_good` all that need space after it too."""
        self.effects, self.fail_at, self.failure, self.keeps_failing = 0, effect, failure, for_good

    def repair(self) -> None:
        """No more faults, and power is back."""
        self.effects, self.fail_at, self.failure, self.keeps_failing, self.is_off = 0, 0, None, False, False
        self.locked.clear()

    def path(self, path: PurePosixPath) -> Path:
        return Path(path)

    def is_live(self) -> bool:
        return True

    def is_root(self) -> bool:
        return not self.is_ordinary_user

    def sets_owners(self) -> bool:
        return True

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        arguments = tuple(map(str, argv))
        self._effect(f"run {' '.join(arguments)}")
        program = self.programs.get(arguments[0])
        return program(arguments, stdin) if program else Completed(arguments, 0, b"", b"")

    def hang_up(self, pid: int, descriptor: int, peer: tuple[str, int]) -> bool:
        self._effect(f"hang_up {pid} {descriptor} {peer}")
        return True

    def find_program(self, name: str) -> Path | None:
        return None if name in self.missing_programs else Path("/usr/sbin", name)

    def has_user(self, name: str) -> bool:
        return name not in self.missing_users

    def greeting(self, port: int, timeout: float = 2) -> bytes:
        return b"220 memory"

    def free_bytes(self, path: PurePosixPath) -> int:
        return self.free

    def read(self, path: PurePosixPath) -> bytes | None:
        self._need_power()
        self._need_right(path)
        node = self.nodes.get(path)
        return node.content if node else None

    def stat(self, path: PurePosixPath) -> FileState | None:
        self._need_power()
        node = self.nodes.get(path)
        if node is None:
            return None
        size = len(node.content or b"")
        is_link = path in self.symlinks
        return FileState(
            node.mode, node.owner, node.group, size, node.mtime_ns, node.inode, is_link, node.content is None
        )

    def list_directory(self, path: PurePosixPath) -> list[str]:
        self._need_power()
        self._need_right(path)
        return sorted(each.name for each in self.nodes if each.parent == path and each != path)

    def make_directory(self, path: PurePosixPath, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        if path not in self.nodes:
            self._effect(f"make_directory {path}", needs_space=True)
            self._make_parents(path)
            self._set(path, None, mode, owner, group)

    def create(self, path: PurePosixPath, content: bytes, mode: int, owner: str = "root", group: str = "root") -> None:
        self._effect(f"create {path}", needs_space=True)
        self._require_folder(path)
        if path in self.nodes:
            raise FileExistsError(17, "File exists", str(path))
        self._set(path, content, mode, owner, group)

    def append(self, path: PurePosixPath, content: bytes, mode: int = 0o600) -> None:
        self._effect(f"append {path}", needs_space=True)
        self._require_folder(path)
        node = self.nodes.get(path)
        if node is None:
            self._set(path, content, mode, "root", "root")
        else:
            self.nodes[path] = replace(node, content=(node.content or b"") + content)

    def link(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        self._effect(f"link {source} {destination}")
        if destination in self.nodes:
            raise FileExistsError(17, "File exists", str(destination))
        self.nodes[destination] = self.nodes[source]

    def set_permissions(self, path: PurePosixPath, mode: int, owner: str, group: str) -> None:
        self._effect(f"set_permissions {path}")
        self.nodes[path] = replace(self.nodes[path], mode=mode, owner=owner, group=group)

    def rename(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        self._effect(f"rename {source} {destination}")
        self._require_folder(destination)
        there = self.nodes.get(destination)
        if there is not None and there.inode == self.nodes[source].inode:
            return  # rename(2): two names of one file both stay
        if there is not None and there.content is None and self.list_directory(destination):
            raise OSError(39, "Directory not empty", str(destination))
        for path in [each for each in self.nodes if each.is_relative_to(source)]:
            self.nodes[destination / path.relative_to(source)] = self.nodes.pop(path)

    def remove(self, path: PurePosixPath) -> None:
        if path in self.nodes:
            self._effect(f"remove {path}")
            del self.nodes[path]

    def remove_tree(self, path: PurePosixPath) -> None:
        # One effect per file, as on a real host: it can end half done.
        for each in sorted((each for each in self.nodes if each.is_relative_to(path)), reverse=True):
            self._effect(f"remove {each}")
            del self.nodes[each]

    def set_mtime(self, path: PurePosixPath, mtime_ns: int) -> None:
        self._effect(f"set_mtime {path}")
        self.nodes[path] = replace(self.nodes[path], mtime_ns=mtime_ns)

    def sync_tree(self, path: PurePosixPath) -> None:
        self._effect(f"sync_tree {path}", needs_space=True)

    @contextmanager
    def lock(self, path: PurePosixPath) -> Iterator[None]:
        if path in self.locked:
            raise BusyError("another mailctl is writing to this host")
        self.locked.add(path)
        try:
            yield
        finally:
            self.locked.discard(path)

    def _effect(self, what: str, *, needs_space: bool = False) -> None:
        self._need_power()
        self.effects += 1
        fails_again = self.keeps_failing and needs_space and self.effects > self.fail_at
        if self.failure is not None and (self.effects == self.fail_at or fails_again):
            self.is_off = isinstance(self.failure, PowerCut)
            raise self.failure
        self.log.append(what)

    def _need_power(self) -> None:
        if self.is_off:
            raise PowerCut

    def _need_right(self, path: PurePosixPath) -> None:
        if self.is_ordinary_user and any(path.is_relative_to(each) for each in self.root_only):
            raise PermissionError(13, "Permission denied", str(path))

    def _set(self, path: PurePosixPath, content: bytes | None, mode: int, owner: str, group: str) -> None:
        self.nodes[path] = Node(content, mode, owner, group, len(self.nodes) * SECOND, next(self._inodes))

    def _make_parents(self, path: PurePosixPath) -> None:
        for parent in reversed(path.parents):
            if parent not in self.nodes:
                self._set(parent, None, 0o755, "root", "root")

    def _require_folder(self, path: PurePosixPath) -> None:
        if path.parent not in self.nodes:
            raise FileNotFoundError(2, "No such file or directory", str(path))
