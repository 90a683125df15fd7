"""Every mode a file is seen with while others write it: mode_sampler.py MARKS FOLDER..., inotify(7).

MARKS is a file with one text a line; a file that holds one of them is a secret. Prints `ready` once it watches all
folders, and one line of JSON for each file when its input ends. Each file stays open until then, so that its inode is
nobody else's, and what it held can be read after it was removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import selectors
import stat
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

# sys/inotify.h
IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE = 0x2, 0x4, 0x8
IN_MOVED_TO, IN_CREATE = 0x80, 0x100
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
IN_ONLYDIR, IN_DONT_FOLLOW = 0x01000000, 0x02000000
WATCHED = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE
EVENT = struct.Struct("iIII")
LARGEST_FILE = 10**7  # bytes


@dataclass
class Seen:
    """One file: the names it had, each (mode, user, group) it was seen with; `descriptor` is our own."""

    descriptor: int
    names: dict[str, None] = field(default_factory=dict)
    modes: dict[tuple[int, int, int], None] = field(default_factory=dict)

    def look(self) -> None:
        found = os.fstat(self.descriptor)
        self.modes[stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid] = None


class Sampler:
    """Watches folders, and those that appear in them."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.queue = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, str] = {}
        self.files: dict[tuple[int, int], Seen] = {}

    def watch(self, folder: str) -> None:
        """Watch `folder` and all below it; what is in it is looked at by the next event about it."""
        watch = self._libc.inotify_add_watch(self.queue, os.fsencode(folder), WATCHED | IN_ONLYDIR | IN_DONT_FOLLOW)
        if watch < 0 or watch in self._folders:
            return  # it is gone again, or watched already
        self._folders[watch] = folder
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                if entry.is_dir(follow_symlinks=False):
                    self.watch(entry.path)

    def read(self) -> None:
        """Look at every file something has just happened to."""
        data = os.read(self.queue, 2**16)
        while data:
            watch, mask, _, length = EVENT.unpack_from(data)
            name = os.fsdecode(data[EVENT.size : EVENT.size + length].rstrip(b"\0"))
            data = data[EVENT.size + length :]
            if mask & IN_Q_OVERFLOW:
                raise SystemExit("events were lost")
            if name and not mask & IN_IGNORED:
                self._look(f"{self._folders[watch]}/{name}")

    def _look(self, path: str) -> None:
        with contextlib.suppress(OSError):  # it is gone again
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                self.watch(path)
                for entry in os.scandir(path):
                    self._look(entry.path)
            elif stat.S_ISREG(mode):
                self._file(path).look()

    def _file(self, path: str) -> Seen:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        found = os.fstat(descriptor)
        seen = self.files.setdefault((found.st_dev, found.st_ino), Seen(descriptor))
        if seen.descriptor != descriptor:
            os.close(descriptor)
        seen.names[path] = None
        return seen


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    marks = [line for line in Path(sys.argv[1]).read_bytes().splitlines() if line]
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # the sooner it looks, the more it sees
    sampler = Sampler()
    for folder in sys.argv[2:]:
        sampler.watch(folder)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with selectors.DefaultSelector() as waiting:
        waiting.register(sampler.queue, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while not any(key.fileobj is sys.stdin for key, _ in waiting.select()):
            with contextlib.suppress(BlockingIOError):
                sampler.read()
    with contextlib.suppress(BlockingIOError):
        while True:
            sampler.read()
    for seen in sampler.files.values():
        content = os.pread(seen.descriptor, LARGEST_FILE, 0)
        secret = any(mark in content for mark in marks)
        sys.stdout.write(json.dumps({"names": list(seen.names), "modes": list(seen.modes), "secret": secret}) + "\n")


if __name__ == "__main__":
    main()
