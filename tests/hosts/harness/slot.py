"""A number no other run on this machine has, and what is named after it."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from tests.hosts.harness.commands import HarnessError, run

LOCKS = Path("/run/mailctl-hosts")
FOLDERS = Path("/var/tmp/mailctl-hosts")  # overlays need a disk's file system
COUNT = 200


class Slot:
    """Held by a lock that the kernel takes back when this process ends, however it ends."""

    def __init__(self) -> None:
        self.number, self._lock = _take_free_number()
        self.bridge = f"mailctl{self.number}"
        # 198.18.0.0/15 belongs to test beds and is routed by nobody, RFC 2544.
        self.network = f"198.18.{self.number}"
        self.folder = FOLDERS / str(self.number)
        self._clear()
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o700)

    def release(self) -> None:
        """Remove the folder and give the number back. Everything that ran in it has ended."""
        self._clear()
        os.close(self._lock)

    def _clear(self) -> None:
        for mount in mounts_below(self.folder):
            run("umount", mount)
        if Path("/sys/class/net", self.bridge).exists():
            run("ip", "link", "delete", self.bridge)
        shutil.rmtree(self.folder, ignore_errors=True)


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted below `folder`, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4]) for line in lines]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def _take_free_number() -> tuple[int, int]:
    LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(COUNT):
        lock = os.open(LOCKS / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number, lock
    raise HarnessError(f"{COUNT} runs are at work already, by the locks in {LOCKS}")
