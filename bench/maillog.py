"""A full text report of one log by log-report, pflogsumm and logwatch: `python -m bench.maillog [LINES]`.

Prints wall seconds, the ratio, and the most memory of one process, for both forms of stamps; then what each kind of
line costs. All run one after the other on the same file, in the same run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from bench.maillog_sample import lines
from mailctl.maillog.count import Counting

OURS = [sys.executable, "-m", "mailctl", "log-report"]


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for name, bsd_stamps in (("RFC 3339", False), ("BSD", True)):
            log = Path(folder, "mail.log")
            with log.open("w") as file:
                file.writelines(lines(count, bsd_stamps))
            print(f"{name}: {count} lines, {log.stat().st_size >> 20} MiB, {os.cpu_count()} processors")
            compare(log)
        print("nanoseconds a line, by program and first words")
        profile(log)


def compare(log: Path) -> None:
    ours = measure([*OURS, str(log)])
    for name, command in peers(log).items():
        seconds = measure(command)
        print(f"  {name:12} {seconds:7.2f} s   {seconds / ours:5.1f} times as long as log-report")
    print(f"  {'log-report':12} {ours:7.2f} s   {largest_process(log)} MiB in the largest process")


def peers(log: Path) -> dict[str, list[str]]:
    found = {}
    if shutil.which("pflogsumm"):
        found["pflogsumm"] = ["pflogsumm", str(log)]
    if shutil.which("logwatch"):
        folder = ["--logdir", str(log.parent)]
        found["logwatch"] = ["logwatch", *folder, "--service", "postfix", "--range", "all", "--output", "stdout"]
    return found


def measure(command: list[str]) -> float:
    """Wall seconds, the better of two runs."""
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def largest_process(log: Path) -> int:
    """MiB; wait4(2) tells the largest of a process and the children it waited for."""
    process = os.posix_spawn(
        sys.executable,
        [*OURS, str(log)],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, _, usage = os.wait4(process, 0)
    return usage.ru_maxrss >> 10


def profile(log: Path) -> None:
    """Each kind of line by itself, 20,000 of them, with the lines before it already counted."""
    kinds: dict[str, list[bytes]] = defaultdict(list)
    with log.open("rb") as file:
        for line in file:
            header, _, text = line.partition(b"]: ")
            words = text.split(b": ", 1)[-1].split(b" ", 2)
            first = b" ".join(words[:2]).split(b"=")[0][:24]
            kinds[f"{header.split()[-1].split(b'[')[0].decode()} {first.decode()}"].append(line)
    for kind, members in sorted(kinds.items(), key=lambda item: -len(item[1]))[:16]:
        some = b"".join(members[:20_000])
        counting = Counting()
        start = time.perf_counter()
        counting.feed(some)
        cost = (time.perf_counter() - start) / min(len(members), 20_000)
        print(f"  {cost * 1e9:6.0f}   {len(members):8} lines   {kind}")


if __name__ == "__main__":
    main()
