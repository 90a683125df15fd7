"""Start-up, no-op plans and first applies, each beside its budget or its peer; needs root for the last two.

python -m bench            all of it, about two minutes
python -m bench --quick    without the 100,000 addresses
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.specs import write_spec
from mailctl.host import LocalHost
from mailctl.lab.lifecycle import bring_down, start_lab
from mailctl.sandbox import Sandbox
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.spec.load import load_spec

HELP_BUDGET = 0.100  # seconds
SMALL_PLAN_BUDGET = 0.300
LARGE_PLAN_BUDGET = 5.0
MEMORY_BUDGET = 512  # MB
SMALL = 20
SIZES = (1_000, 10_000, 100_000)
TABLES = ("virtual_alias", "virtual_mailbox", "sender_login")


@dataclass(frozen=True)
class Run:
    """One process: wall time in seconds, peak memory in MB."""

    seconds: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the 100,000 addresses")
    sizes = SIZES[:-1] if parser.parse_args().quick else SIZES
    report("mailctl --help", median(python_module("mailctl", "--help"), times=10), HELP_BUDGET)
    if os.geteuid() != 0:
        print("skip: plans and applies run in a lab, which needs root")
        return
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder:
        for addresses in (SMALL, *sizes):
            measure(Path(folder), addresses)


def measure(folder: Path, addresses: int) -> None:
    """A first apply, a no-op plan, and postmap alone over the same tables, in a lab of its own."""
    host = LocalHost()
    name = f"bench-{os.getpid()}-{addresses}"
    spec_file = write_spec(folder, addresses)
    lab = start_lab(host, name, load_spec(spec_file), spec_file)
    try:
        inside = lab.entering()
        applied = run([*inside, *python_module("mailctl", "-q", "apply", "-y", "-f", str(spec_file))])
        planned = median([*inside, *python_module("mailctl", "-q", "plan", "-f", str(spec_file))], times=5)
        alone = postmap_alone(lab)
    finally:
        bring_down(host, name)
    label = f"{addresses:>7,} addresses"
    report(f"{label}: no-op plan", planned, SMALL_PLAN_BUDGET if addresses == SMALL else LARGE_PLAN_BUDGET)
    print(f"{label}: {planned.seconds / addresses * 1e6:8.1f} µs of plan for each address")
    print(
        f"{label}: first apply {applied.seconds:6.2f} s, {applied.memory:4.0f} MB; "
        f"postmap alone {alone:5.2f} s: {applied.seconds / alone:.1f} times that"
    )


def postmap_alone(lab: Sandbox) -> float:
    """Seconds that postmap needs for copies of the large tables of the generation that serves."""
    tables = next(lab.path("/var/lib/mailctl/generations").iterdir())
    lab.run(["mkdir", "/var/lib/bench"])
    for table in TABLES:
        (lab.path("/var/lib/bench") / table).write_bytes((tables / table).read_bytes())
    start = time.perf_counter()
    for table in TABLES:
        lab.run(["postmap", f"cdb:/var/lib/bench/{table}"])
    return time.perf_counter() - start


def run(argv: Sequence[str]) -> Run:
    """Run a program that must succeed; what it prints is thrown away."""
    start = time.perf_counter()
    process = os.posix_spawnp(
        argv[0],
        list(argv),
        os.environ | PYTHON_ENVIRONMENT,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(argv)}")
    return Run(time.perf_counter() - start, usage.ru_maxrss / 1024)


def median(argv: Sequence[str], times: int) -> Run:
    """The median time of several runs, and the most memory any of them took."""
    runs = [run(argv) for _ in range(times)]
    return Run(statistics.median(each.seconds for each in runs), max(each.memory for each in runs))


def report(what: str, found: Run, budget: float) -> None:
    verdict = "ok" if found.seconds <= budget and found.memory <= MEMORY_BUDGET else "OVER"
    print(f"{what}: {found.seconds:6.3f} s of {budget:g} s, {found.memory:4.0f} MB of {MEMORY_BUDGET} MB: {verdict}")


if __name__ == "__main__":
    main()
