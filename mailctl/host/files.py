"""Files of this machine, or below a folder that stands for one; what is written is durable when a call returns."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from mailctl.errors import BusyError, UnfitError
from mailctl.host.protocol import FileState


class LocalFiles:
    """The half of a local host that reads and writes files, those of `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, path: PurePosixPath) -> Path:
        return self.root / path.relative_to("/")

    def is_live(self) -> bool:
        return self.root == Path("/")

    def sets_owners(self) -> bool:
        return self.is_live()

    def read(self, path: PurePosixPath) -> bytes | None:
        try:
            return self.path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            # The last: a file of proc(5) whose process ended after it was opened.
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
        # A kill before the last step must not leave root's own folder closed: nothing would open it later.
        real.mkdir(mode=mode if owner == "root" else 0o700)
        self._own(real, owner, group)
        real.chmod(mode)
        _sync(real.parent)

    def create(self, path: PurePosixPath, content: bytes, mode: int, owner: str = "root", group: str = "root") -> None:
        real = self.path(path)
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with _naming(real), _closing(descriptor):
            self._own(descriptor, owner, group)
            os.fchmod(descriptor, mode)
            _write(descriptor, content)
            os.fsync(descriptor)

    def append(self, path: PurePosixPath, content: bytes, mode: int = 0o600) -> None:
        real = self.path(path)
        is_new = not real.exists()
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, mode)
        with _naming(real), _closing(descriptor):
            size = os.fstat(descriptor).st_size
            try:
                _write(descriptor, content)
                os.fsync(descriptor)
            except OSError:
                # What is not known to be on disk must not turn up there after all.
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
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
        with _closing(descriptor):
            if not (_locked(descriptor) and self._names(path, descriptor)):  # whoever held it may have removed it
                raise BusyError("another mailctl is writing to this host", hint=f"wait for it to end; it holds {path}")
            yield

    def _names(self, path: PurePosixPath, descriptor: int) -> bool:
        """Whether `path` is still the file that is open."""
        found = self.stat(path)
        return found is not None and found.inode == os.fstat(descriptor).st_ino

    def _own(self, real: Path | int, owner: str, group: str) -> None:
        if self.sets_owners():
            os.chown(real, _user_id(owner), _group_id(group))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _naming(real: Path) -> Iterator[None]:
    """Say which file it was where the system does not: write(2) and fsync(2) know no names."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(real)
        raise


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """All of `content`, or an error: a buffer would try once more when it is closed."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync(real: Path) -> None:
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW)
    with _naming(real), _closing(descriptor):
        os.fsync(descriptor)


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
