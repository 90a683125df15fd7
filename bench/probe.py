"""The whole probe and the fast one against a lab: wall time, and the CPU seconds of the machine; needs root.

python -m bench.probe
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.arguments import parser
from tests.real.probe_lab import ProbeLab, started_lab

BUDGET = {False: 10.0, True: 5.0}  # seconds, whole and fast
TIMES = 3


def main() -> None:
    parser("bench.probe", __doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder, started_lab("bench", Path(folder)) as lab:
        for is_fast in (True, False):
            measure(lab, is_fast)


def measure(lab: ProbeLab, is_fast: bool) -> None:
    """Print each of three runs: the first meets a server whose processes have yet to start."""
    for _ in range(TIMES):
        before = busy_seconds()
        report = lab.probe(fast=is_fast)
        used = busy_seconds() - before
        attempts = sum(len(result.outcomes) for result in report.results)
        kind = "fast" if is_fast else "whole"
        print(
            f"{kind} probe: {report.seconds:5.2f} s (budget {BUDGET[is_fast]:g}), {attempts} attempts, safe: "
            f"{report.is_safe}; the machine was busy for {used:.1f} CPU seconds, load {os.getloadavg()[0]:.1f}"
        )


def busy_seconds() -> float:
    """CPU seconds of the whole machine so far; proc(5), /proc/stat."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
