"""Waiting for what takes as long as it takes, within bounds."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path


def eventually(holds: Callable[[], object], timeout: float = 30.0, pause: float = 0.05) -> bool:
    """Whether `holds` becomes true within `timeout` seconds, asked every `pause` seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process handles this signal by now; proc(5)."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(fields["SigCgt"], 16) >> (number - 1) & 1)
