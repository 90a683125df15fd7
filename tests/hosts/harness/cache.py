"""Folders that are made once and kept outside the checkout, so that a fresh clone finds them."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

UNUSED_AFTER = 24 * 3600  # seconds; checkouts that want different ones may take turns meanwhile

_in_use: list[int] = []  # descriptors of locks, which the kernel takes back when this process ends


def cached(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder `kind-key` of the cache; `make` fills it where it is missing, while other runs wait.

    It stays while this process lives. Others of its kind go, once no run has used them for a day.
    """
    folder = _cache() / f"{kind}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(folder, make)
        os.utime(folder)
        _in_use.append(_lock(folder, fcntl.LOCK_SH))
        for other in folder.parent.glob(f"{kind}-*/"):
            if time.time() - other.stat().st_mtime > UNUSED_AFTER:
                _remove_unused(other)
    return folder


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    work = folder.with_suffix(".making")
    if work.exists():
        shutil.rmtree(work)  # a run was killed while it made this
    work.mkdir()
    make(work)
    work.rename(folder)


def _remove_unused(folder: Path) -> None:
    try:
        lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another run works with it
    shutil.rmtree(folder)
    os.close(lock)


def _lock(folder: Path, how: int) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _cache() -> Path:
    usual = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or usual, "mailctl-hosts")
