"""The only subprocess and the only writes: everything else takes values and returns values."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, NoReturn, Protocol

from mailctl.errors import BusyError, UnfitError

SYSTEM_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
CLEAN_ENVIRONMENT = {"PATH": ":".join(SYSTEM_PATH), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

BackgroundProcess = subprocess.Popen[bytes]


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

    def terminate(self, pid: int) -> None:
        """Send SIGTERM to a process; nothing happens where it has ended."""

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
        """Add to the end of a file, made where missing, and fsync it."""

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
    """Make or replace a file at once: written under another name, fsynced, renamed; a crash leaves no part of it."""
    aside = path.with_name(f".{path.name}.new")
    host.remove(aside)
    host.create(aside, content, mode, owner, group)
    host.rename(aside, path)


class LocalHost:
    """This machine, or with `root` a folder that stands for one: files only, no services."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, path: PurePosixPath) -> Path:
        return self.root / path.relative_to("/")

    def is_live(self) -> bool:
        return self.root == Path("/")

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def sets_owners(self) -> bool:
        return self.is_live()

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        name, *arguments = map(str, argv)
        program = self._require_program(name)
        # Not pipes: a daemon keeps them open after the program that started it has ended, and we would wait for it.
        with _memory_file("stdout") as stdout, _memory_file("stderr") as stderr:
            try:
                done = subprocess.run(
                    [str(program), *arguments],
                    input=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    timeout=timeout,
                    env=CLEAN_ENVIRONMENT,
                    cwd="/",
                    check=False,
                    # Ctrl-C is for mailctl, which then puts things back in order; it must not kill half of that.
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired as error:
                raise UnfitError(f"{name} did not end within {timeout:g} s") from error
            return Completed((name, *arguments), done.returncode, _content(stdout), _content(stderr))

    def spawn(
        self,
        argv: Sequence[str | PurePath],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
        environment: Mapping[str, str] = CLEAN_ENVIRONMENT,
        detached: bool = False,
    ) -> BackgroundProcess:
        """Start a program and return at once; None keeps this process's stream.

        A detached one has a session of its own: closing the terminal does not end it.

        Raises:
            UnfitError: the program is not installed.
        """
        name, *arguments = map(str, argv)
        return subprocess.Popen(  # argv list, absolute program
            [str(self._require_program(name)), *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(environment),
            cwd="/",
            start_new_session=detached,
        )

    def become(self, argv: Sequence[str | PurePath], environment: Mapping[str, str]) -> NoReturn:
        """Replace this process by a program, as execve(2) does.

        Raises:
            UnfitError: the program is not installed.
        """
        name, *arguments = map(str, argv)
        os.execve(self._require_program(name), [name, *arguments], dict(environment))  # noqa: S606 - argv list

    def _require_program(self, name: str) -> Path:
        program = self.find_program(name)
        if program is None:
            raise UnfitError(f"the program {name!r} is not installed", hint=f"looked in {', '.join(SYSTEM_PATH)}")
        return program

    def terminate(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def find_program(self, name: str) -> Path | None:
        if name.startswith("/"):
            return Path(name) if os.access(name, os.X_OK) else None
        found = shutil.which(name, path=CLEAN_ENVIRONMENT["PATH"])
        return Path(found) if found else None

    def greeting(self, port: int, timeout: float = 2) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout) as connection:
                return connection.recv(512)
        except OSError:
            return b""

    def dialogue(self, address: str, port: int, commands: Sequence[str], timeout: float = 5) -> list[str]:
        deadline = time.monotonic() + timeout
        replies: list[str] = []
        try:
            with socket.create_connection((address, port), timeout) as connection, connection.makefile("rb") as lines:
                for command in ("", *commands):
                    if command:
                        connection.sendall(f"{command}\r\n".encode())
                    connection.settimeout(max(deadline - time.monotonic(), 0.001))
                    replies.append(_read_reply(lines))
                    if not replies[-1]:
                        break
        except OSError:
            pass
        return replies

    def outside_address(self) -> str | None:
        # Connecting a datagram socket asks the routing table only; addresses of RFC 5737 and 3849.
        for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as asking:
                    asking.connect((anywhere, 9))
                    return str(asking.getsockname()[0])
            except OSError:
                continue
        return None

    def has_user(self, name: str) -> bool:
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def read(self, path: PurePosixPath) -> bytes | None:
        try:
            return self.path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stat(self, path: PurePosixPath) -> FileState | None:
        try:
            found = self.path(path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileState(
            mode=stat.S_IMODE(found.st_mode),
            owner=_user_name(found.st_uid),
            group=_group_name(found.st_gid),
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            inode=found.st_ino,
            is_symlink=stat.S_ISLNK(found.st_mode),
            is_directory=stat.S_ISDIR(found.st_mode),
        )

    def list_directory(self, path: PurePosixPath) -> list[str]:
        try:
            return sorted(entry.name for entry in self.path(path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def make_directory(self, path: PurePosixPath, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        if self.stat(path) is not None:
            return
        if path.parent != path:
            self.make_directory(path.parent)
        real = self.path(path)
        real.mkdir(mode=0o700)
        self._own(real, owner, group)
        real.chmod(mode)
        _sync(real.parent)

    def create(self, path: PurePosixPath, content: bytes, mode: int, owner: str = "root", group: str = "root") -> None:
        real = self.path(path)
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with _naming(real), open(descriptor, "wb") as file:
            self._own(descriptor, owner, group)
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)

    def append(self, path: PurePosixPath, content: bytes, mode: int = 0o600) -> None:
        real = self.path(path)
        is_new = not real.exists()
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, mode)
        with _naming(real), open(descriptor, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if is_new:
            _sync(real.parent)

    def link(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        self.path(destination).hardlink_to(self.path(source))
        _sync(self.path(destination.parent))

    def set_permissions(self, path: PurePosixPath, mode: int, owner: str, group: str) -> None:
        real = self.path(path)
        self._own(real, owner, group)
        real.chmod(mode)
        _sync(real)

    def free_bytes(self, path: PurePosixPath) -> int:
        real = self.path(path)
        while not real.exists():
            real = real.parent
        found = os.statvfs(real)
        return found.f_bavail * found.f_frsize

    def rename(self, source: PurePosixPath, destination: PurePosixPath) -> None:
        self.path(source).rename(self.path(destination))
        _sync(self.path(destination.parent))
        if source.parent != destination.parent:
            _sync(self.path(source.parent))

    def remove(self, path: PurePosixPath) -> None:
        real = self.path(path)
        real.unlink(missing_ok=True)
        if real.parent.is_dir():
            _sync(real.parent)

    def remove_tree(self, path: PurePosixPath) -> None:
        real = self.path(path)
        if real.is_dir():
            shutil.rmtree(real)
            _sync(real.parent)

    def set_mtime(self, path: PurePosixPath, mtime_ns: int) -> None:
        os.utime(self.path(path), ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def sync_tree(self, path: PurePosixPath) -> None:
        for directory, _, files in os.walk(self.path(path), topdown=False):
            for name in files:
                _sync(Path(directory, name))
            _sync(Path(directory))

    @contextmanager
    def lock(self, path: PurePosixPath) -> Iterator[None]:
        descriptor = os.open(self.path(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._names(path, descriptor):
                raise BlockingIOError  # whoever held it removed it as we waited
            yield
        except BlockingIOError as error:
            raise BusyError(
                "another mailctl is writing to this host", hint=f"wait for it to end; it holds {path}"
            ) from error
        finally:
            os.close(descriptor)

    def _names(self, path: PurePosixPath, descriptor: int) -> bool:
        """Whether `path` is still the file that is open."""
        found = self.stat(path)
        return found is not None and found.inode == os.fstat(descriptor).st_ino

    def _own(self, real: Path | int, owner: str, group: str) -> None:
        if self.sets_owners():
            os.chown(real, _user_id(owner), _group_id(group))


def _read_reply(lines: BinaryIO) -> str:
    """One reply of RFC 5321 section 4.2.1: a hyphen after the code says that more lines follow."""
    reply = []
    for line in lines:
        reply.append(line.decode(errors="replace").rstrip())
        if line[3:4] != b"-":
            break
    return "\n".join(reply)


def _memory_file(name: str) -> BinaryIO:
    return open(os.memfd_create(name), "w+b")


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


@contextmanager
def _naming(real: Path) -> Iterator[None]:
    """Say which file it was where the system does not: write(2) and fsync(2) know no names."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(real)
        raise


def _sync(real: Path) -> None:
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        with _naming(real):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _user_id(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise UnfitError(f"this machine has no user {name!r}", hint="install the service, or make the user") from error


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        hint = "install the service, or make the group"
        raise UnfitError(f"this machine has no group {name!r}", hint=hint) from error


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
