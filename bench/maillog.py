"""A full text report of one log by log-report, pflogsumm and logwatch, in the same run on the same file.

python -m bench.maillog [LINES]     both forms of stamps, then what each kind of line costs
python -m bench.maillog --growth    log-report alone up to ten million lines, no two alike: time, memory of a process

Other work on the machine slows everybody down: the ratio of processor seconds is the steadier one, that of wall seconds
is what a person waits for, and needs two idle processors.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.arguments import parser
from bench.maillog_sample import lines
from mailctl.maillog.count import Counting

OURS = [sys.executable, "-m", "mailctl", "log-report"]
STAMPS = (("RFC 3339", False), ("BSD", True))
SIZES = (100_000, 1_000_000, 10_000_000)
ROUNDS = 3
# What each prints of recipients delivered to: proof that it has read the log.
DELIVERED = {
    "log-report": r"delivered +([\d,]+)",
    "pflogsumm": r"(\d+) +delivered",
    "logwatch": r"(\d+) +Sent via (?:SMTP|LMTP)",
}


@dataclass(frozen=True)
class Run:
    """One process and its children: seconds by the clock, seconds of processors, MiB of the largest process."""

    wall: float
    cpu: float
    memory: int
    output: str

    def delivered(self, name: str) -> int:
        return sum(int(number.replace(",", "")) for number in re.findall(DELIVERED[name], self.output))


def main() -> None:
    known = parser("bench.maillog", __doc__)
    known.add_argument("lines", type=int, nargs="?", default=1_000_000)
    known.add_argument("--growth", action="store_true", help="log-report alone, up to ten million lines")
    arguments = known.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "mail.log")
        if arguments.growth:
            growth(log)
            return
        for name, bsd_stamps in STAMPS:
            write(log, arguments.lines, bsd_stamps)
            print(f"{name}: {arguments.lines:,} lines, {log.stat().st_size >> 20} MiB, {os.cpu_count()} processors")
            compare(log)
        print("nanoseconds a line, by program and first words, on one processor")
        with log.open("rb") as file:
            profile(islice(file, 50_000))


def write(log: Path, count: int, bsd_stamps: bool = False) -> None:
    with log.open("w") as file:
        file.writelines(lines(count, bsd_stamps))


def growth(log: Path) -> None:
    for count in SIZES:
        write(log, count)
        done = run([*OURS, str(log)])
        print(
            f"{count:>10,} lines: {done.wall:6.2f} s, {done.cpu:6.2f} s of processors, "
            f"{done.cpu / count * 1e6:5.2f} µs of them a line, {done.memory} MiB",
            flush=True,
        )


def compare(log: Path) -> None:
    commands = {"log-report": [*OURS, str(log)], **peers(log)}
    best: dict[str, Run] = {}
    for _ in range(ROUNDS):  # in turns, so that what else the machine does meets all of them
        for name, command in commands.items():
            done = run(command)
            if name not in best or done.wall < best[name].wall:
                best[name] = done
    ours = best["log-report"]
    for name, done in best.items():
        print(
            f"  {name:10} {done.wall:6.2f} s, {done.cpu:6.2f} s of processors, {done.memory:4} MiB, "
            f"{done.delivered(name):,} delivered: {done.wall / ours.wall:5.1f} times our wall time, "
            f"{done.cpu / ours.cpu:4.1f} times our processor time"
        )


def peers(log: Path) -> dict[str, list[str]]:
    found = {}
    if shutil.which("pflogsumm"):
        found["pflogsumm"] = ["pflogsumm", str(log)]
    if shutil.which("logwatch"):
        only_this = ["--logdir", str(log.parent), "--archives", "no", "--range", "all"]
        found["logwatch"] = ["logwatch", "--service", "postfix", *only_this, "--output", "stdout"]
    return found


def run(argv: Sequence[str]) -> Run:
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = os.posix_spawnp(
            argv[0],
            list(argv),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
        )
        _, status, usage = os.wait4(process, 0)
        wall = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"failed: {' '.join(argv)}")
        output.seek(0)
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10, output.read())


def profile(sample: Iterable[bytes]) -> None:
    """Each kind of line by itself, the lines that tell what a message is already counted; the best of ten rounds."""
    kinds: dict[str, list[bytes]] = defaultdict(list)
    for line in sample:
        header, _, text = line.partition(b"]: ")
        words = re.sub(rb"^[0-9A-F]{6,}: ", b"", text).split(b" ", 1)[0].split(b"=")[0].strip()
        kinds[f"{header.split()[-1].split(b'[')[0].decode()} {words.decode()}"].append(line)
    known = b"".join(line for name, members in kinds.items() if name.endswith(("client", "from")) for line in members)
    total = sum(map(len, kinds.values()))
    gc.disable()
    for kind, members in sorted(kinds.items(), key=lambda item: -len(item[1])):
        cost = min(_seconds(known, b"".join(members)) for _ in range(10)) / len(members)
        print(f"  {cost * 1e9:6.0f}   {len(members) / total:6.1%} of the lines   {kind}")


def _seconds(known: bytes, some: bytes) -> float:
    counting = Counting()
    counting.feed(known)
    start = time.process_time()
    counting.feed(some)
    return time.process_time() - start


if __name__ == "__main__":
    main()
