"""A control group per host: systemd takes the group it is started in for the root of its own tree.

Hosts that shared one would find each other's processes in the groups of their services.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.hosts.harness.waiting import wait_until


def join(name: str, pid: int) -> None:
    """Put a process into the group `name`, which is made where it is missing."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        (hierarchy / name / "cgroup.procs").write_text(str(pid))


def remove(pattern: str) -> None:
    """Remove the groups whose name matches, once their last process is gone."""
    for hierarchy in _hierarchies():
        for group in hierarchy.glob(pattern):
            wait_until(lambda: _is_removed(group), f"processes are left in {group}")  # noqa: B023 - called here


def _is_removed(group: Path) -> bool:
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    except OSError:
        return False
    return True


def _hierarchies() -> list[Path]:
    """Where the groups are that systemd uses: the unified ones, and its own where version 1 is mounted too."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(point) for _, point, kind, options, *_ in mounts if kind == "cgroup2" or "name=systemd" in options]
