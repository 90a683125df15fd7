"""mailctl one of whose programs is killed in the middle of its work: at the first thing it writes, sends or renames.

killed_program.py count FILE ARGUMENT...      writes the programs that mailctl starts, a line for each
killed_program.py NUMBER FILE ARGUMENT...     kills that one of them, and writes which it was
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from mailctl.entry import main

# Whoever does none of this dies when it ends, with all its work done and nobody to hear of it.
CALLS = "write,sendto,connect,fsync,rename,kill,exit_group"
STRACE = ("/usr/bin/strace", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", f"inject={CALLS}:signal=KILL:when=1")


def watch(wanted: int | None, file: Path) -> None:
    start = subprocess.Popen.__init__
    seen = 0

    def start_watched(self: subprocess.Popen[Any], argv: list[str], *rest: Any, **options: Any) -> None:
        nonlocal seen
        seen += 1
        if wanted in (None, seen):
            with file.open("a") as found:
                found.write(f"{' '.join(argv)}\n")
        start(self, argv if wanted != seen else [*STRACE, *argv], *rest, **options)

    subprocess.Popen.__init__ = start_watched  # type: ignore[assignment]


if __name__ == "__main__":
    number, name = sys.argv[1:3]
    sys.argv[1:] = sys.argv[3:]
    watch(None if number == "count" else int(number), Path(name))
    main()
