"""What a host is: the machine a verb works on, with every effect there is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended: its exit status and what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """What the program said on stderr, else on stdout, for a message."""
        return (self.stderr or self.stdout).decode(errors="replace").strip()


@dataclass(frozen=True, slots=True)
class FileState:
    """What lstat(2) tells about a path; `mode` holds the permission bits only."""

    mode: int
    owner: str
    group: str
    size: int
    mtime_ns: int
    inode: int
    is_symlink: bool
    is_directory: bool


class Host(Protocol):
    """The machine a verb works on. Paths are those of the target; `--root` prefixes them here, and only here."""

    def path(self, path: PurePosixPath) -> Path:
        """Where `path` of the target really lies, as an argument for a program."""

    def is_live(self) -> bool:
        """Whether services of this host can be asked and reloaded; False under `--root`."""

    def is_root(self) -> bool:
        """Whether this process may write the live system."""

    def sets_owners(self) -> bool:
        """Whether files get the owners asked for; not under `--root`, where this machine's users mean nothing."""

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        """Run a program with a clean environment and wait for it, `timeout` seconds at most.

        Raises:
            UnfitError: the program is not installed, or it did not end in time.
        """

    def hang_up(self, pid: int, descriptor: int, peer: tuple[str, int]) -> bool:
        """Let a process find that `peer`, whom it talks to on `descriptor`, is gone; whether it could be done.

        Nothing happens, and that is well, where the process or its connection has ended.
        """

    def find_program(self, name: str) -> Path | None:
        """The absolute path of a program of the system, never one from the user's PATH."""

    def has_user(self, name: str) -> bool: ...

    def greeting(self, port: int, timeout: float = 2) -> bytes:
        """What a service on a port of 127.0.0.1 says first; empty where none does within `timeout` seconds."""

    def dialogue(self, address: str, port: int, commands: Sequence[str], timeout: float = 5) -> list[str]:
        """What a service says: its greeting, then its reply to each command, lines joined by line feeds.

        An empty reply at the end: it hung up. Fewer replies: it could not be reached, or `timeout` seconds were over.
        """

    def outside_address(self) -> str | None:
        """The address of this machine that others see; None where it has none but loopback. Sends nothing."""

    def read(self, path: PurePosixPath) -> bytes | None:
        """The content, or None where no file is."""

    def stat(self, path: PurePosixPath) -> FileState | None:
        """The state without following a symlink, or None where nothing is."""

    def list_directory(self, path: PurePosixPath) -> list[str]:
        """Sorted names; empty where no directory is."""

    def make_directory(self, path: PurePosixPath, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        """Make `path` where it is missing, parents included (0755 root), durably; an existing one keeps its mode."""

    def create(self, path: PurePosixPath, content: bytes, mode: int, owner: str = "root", group: str = "root") -> None:
        """Write a new file that has its final mode and owner from its first byte on, and fsync it (O_EXCL)."""

    def append(self, path: PurePosixPath, content: bytes, mode: int = 0o600) -> None:
        """Add to the end of a file, made where missing, and fsync it; where that fails, the file is as it was."""

    def link(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        """Give a file a second name, durably."""

    def set_permissions(self, path: PurePosixPath, mode: int, owner: str, group: str) -> None: ...

    def free_bytes(self, path: PurePosixPath) -> int:
        """Bytes this process may still write to the file system of `path` or its nearest parent."""

    def rename(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        """Rename a file or directory and fsync both parent directories."""

    def remove(self, path: PurePosixPath) -> None:
        """Remove a file; nothing happens where none is."""

    def remove_tree(self, path: PurePosixPath) -> None:
        """Remove a directory with all it holds; nothing happens where none is."""

    def set_mtime(self, path: PurePosixPath, mtime_ns: int) -> None: ...

    def sync_tree(self, path: PurePosixPath) -> None:
        """fsync every file and directory below and including `path` (what programs wrote there)."""

    def lock(self, path: PurePosixPath) -> AbstractContextManager[None]:
        """Hold an exclusive kernel lock on `path`; the file stays, so the lock cannot go stale.

        Raises:
            BusyError: another process holds it.
        """


def create_whole(
    host: Host, path: PurePosixPath, content: bytes, mode: int, owner: str = "root", group: str = "root"
) -> None:
    """Make or replace a file at once: written under another name, fsynced, renamed; a failure leaves no part of it."""
    aside = path.with_name(f".{path.name}.new")
    host.remove(aside)
    try:
        host.create(aside, content, mode, owner, group)
        host.rename(aside, path)
    except OSError:
        with suppress(OSError):
            host.remove(aside)
        raise
