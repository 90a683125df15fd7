"""Folders that are made once and kept outside the checkout, so that a fresh clone finds them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; `make` fills it where it is missing, while other runs wait."""
    folder = _cache() / name
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            work = folder.with_suffix(".making")
            if work.exists():
                shutil.rmtree(work)  # a run was killed while it made this
            work.mkdir()
            make(work)
            work.rename(folder)
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base, "mailctl-hosts") if base else Path("/var/cache/mailctl-hosts")
