"""Running a program in a control group of its own: processor time of all it starts, daemons included; cgroups(7)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION_1, VERSION_2 = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Usage:
    """Seconds on the clock, and of processor time."""

    wall: float
    cpu: float


def run(argv: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run a program that must succeed; what it writes is thrown away."""
    parent = VERSION_1 if VERSION_1.exists() else VERSION_2
    group = parent / f"mailctl-bench-{os.getpid()}"
    group.mkdir()
    try:
        start = time.monotonic()
        done = subprocess.run(
            argv,
            env=environment,
            capture_output=True,
            check=False,
            preexec_fn=lambda: (group / "cgroup.procs").write_text("0"),
        )
        usage = Usage(time.monotonic() - start, _seconds(group))
        if done.returncode:
            sys.exit(f"failed: {' '.join(argv)}\n{done.stderr.decode(errors='replace')}")
        return usage
    finally:
        # Daemons that live on go back to where they would have been.
        for pid in (group / "cgroup.procs").read_text().split():
            (parent / "cgroup.procs").write_text(pid)
        group.rmdir()


def _seconds(group: Path) -> float:
    if (group / "cpuacct.usage").exists():
        return int((group / "cpuacct.usage").read_text()) / 1e9
    fields = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(fields["usage_usec"]) / 1e6
