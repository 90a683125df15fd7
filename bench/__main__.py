"""Start-up, plans and applies, each beside its budget or its peer; needs root for all but the first.

A plan is measured twice: where nothing changed, which is told from what the last apply kept, and with one quota
changed, which takes reading, checking and rendering all of the spec.

python -m bench            all of it, about two minutes
python -m bench --quick    without the 100,000 addresses
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.arguments import parser
from bench.specs import write_spec
from mailctl.host import LocalHost
from mailctl.lab.lifecycle import bring_down, start_lab
from mailctl.sandbox import Sandbox
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.spec.load import load_spec

HELP_BUDGET = 0.100  # seconds
SMALL_PLAN_BUDGET = 0.300
LARGE_PLAN_BUDGET = 5.0
IDLE_APPLY_BUDGET = 0.500
IDLE_APPLY_LARGEST = 1_000  # addresses
MEMORY_BUDGET = 512  # MB
SMALL = 20
SIZES = (1_000, 10_000, 100_000)
TABLES = ("virtual_alias", "virtual_mailbox", "sender_login")


@dataclass(frozen=True)
class Run:
    """One process: wall time and processor time in seconds, peak memory in MB."""

    seconds: float
    busy: float
    memory: float


def main() -> None:
    known = parser("bench", __doc__)
    known.add_argument("--quick", action="store_true", help="without the 100,000 addresses")
    sizes = SIZES[:-1] if known.parse_args().quick else SIZES
    report("mailctl --help", median(python_module("mailctl", "--help"), times=10), HELP_BUDGET)
    if os.geteuid() != 0:
        print("skip: plans and applies run in a lab, which needs root")
        return
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder:
        for addresses in (SMALL, *sizes):
            measure(Path(folder), addresses)


def measure(folder: Path, addresses: int) -> None:
    """A first apply, what follows it, and postmap alone over the same tables, in a lab of its own."""
    host = LocalHost()
    name = f"bench-{os.getpid()}-{addresses}"
    spec_file = write_spec(folder, addresses)
    lab = start_lab(host, name, load_spec(spec_file), spec_file)
    try:
        inside = [*lab.entering(), *python_module("mailctl", "-q")]
        applied = run([*inside, "apply", "-y", "-f", str(spec_file)])
        idle = median([*inside, "plan", "-f", str(spec_file)], times=5)
        changed = median([*inside, "plan", "-f", str(change_quota(spec_file))], times=5)
        idle_apply = median([*inside, "apply", "-y", "-f", str(spec_file)], times=3)
        alone = postmap_alone(lab)
    finally:
        bring_down(host, name)
    label = f"{addresses:>7,} addresses"
    budget = SMALL_PLAN_BUDGET if addresses == SMALL else LARGE_PLAN_BUDGET
    report(f"{label}: no-op plan", idle, budget)
    report(f"{label}: plan of a change", changed, LARGE_PLAN_BUDGET)
    print(f"{label}: {changed.seconds / addresses * 1e6:8.1f} µs of that for each address")
    if addresses <= IDLE_APPLY_LARGEST:
        report(f"{label}: no-op apply", idle_apply, IDLE_APPLY_BUDGET)
    print(
        f"{label}: first apply {applied.seconds:6.2f} s ({applied.busy:.2f} s busy), {applied.memory:4.0f} MB; "
        f"postmap alone {alone:5.2f} s: {applied.seconds / alone:.1f} times that"
    )


def change_quota(spec_file: Path) -> Path:
    """The same spec in another file, with another quota of one mailbox."""
    changed = spec_file.with_name(f"changed-{spec_file.name}")
    changed.write_text(spec_file.read_text().replace("quota: 5G", "quota: 6G", 1))
    return changed


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
        PYTHON_ENVIRONMENT,  # nothing of who measures: PYTHONDONTWRITEBYTECODE would have it compile itself each time
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(argv)}")
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(argv: Sequence[str], times: int) -> Run:
    """The median time of several runs, and the most memory any of them took."""
    runs = [run(argv) for _ in range(times)]
    middle = sorted(runs, key=lambda each: each.seconds)[len(runs) // 2]
    return Run(middle.seconds, middle.busy, max(each.memory for each in runs))


def report(what: str, found: Run, budget: float) -> None:
    verdict = "ok" if found.seconds <= budget and found.memory <= MEMORY_BUDGET else "OVER"
    print(
        f"{what}: {found.seconds:6.3f} s of {budget:g} s ({found.busy:.3f} s busy), "
        f"{found.memory:4.0f} MB of {MEMORY_BUDGET} MB: {verdict}"
    )


if __name__ == "__main__":
    main()
