"""A number no other run on this machine has, and what is named after it."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from tests.hosts.harness import cgroups
from tests.hosts.harness.commands import HarnessError, run

LOCKS = Path("/run/mailctl-hosts")
FOLDERS = Path("/var/tmp/mailctl-hosts")
COUNT = 200


class Slot:
    """Held by a lock that the kernel takes back when this process ends, however it ends."""

    def __init__(self) -> None:
        _clear_dead_runs()
        self.number, self._lock = _take_free_number()
        self.bridge = _bridge(self.number)
        # 198.18.0.0/15 belongs to test beds and is routed by nobody, RFC 2544.
        self.network = f"198.18.{self.number}"
        self.folder = FOLDERS / str(self.number)
        _clear(self.number)
        self.folder.mkdir(mode=0o700, parents=True)

    def release(self) -> None:
        """Remove the folder and give the number back. Everything that ran in it has ended."""
        _clear(self.number)
        os.close(self._lock)


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted below `folder`, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4]) for line in lines]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def _take_free_number() -> tuple[int, int]:
    for number in range(COUNT):
        if (lock := _lock(number)) is not None:
            return number, lock
    raise HarnessError(f"{COUNT} runs are at work already, by the locks in {LOCKS}")


def _lock(number: int) -> int | None:
    """A descriptor that holds the lock; None where another run has it."""
    LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(LOCKS / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _clear_dead_runs() -> None:
    for folder in FOLDERS.glob("*"):
        if (lock := _lock(int(folder.name))) is not None:
            _clear(int(folder.name))
            os.close(lock)


def _clear(number: int) -> None:
    """Remove what a run of this number made; its processes died with it."""
    folder = FOLDERS / str(number)
    for mount in mounts_below(folder):
        run("umount", mount)
    if Path("/sys/class/net", _bridge(number)).exists():
        run("ip", "link", "delete", _bridge(number))
    cgroups.remove(f"{_bridge(number)}-*")
    shutil.rmtree(folder, ignore_errors=True)


def _bridge(number: int) -> str:
    return f"mailctl{number}"
