"""A process that is still the one we knew: ids are reused, ids with a start time are not."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FIELDS_BEFORE_START_TIME = 19  # counted from the state, which follows the name; proc(5)


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its id and its start time in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def find(cls, pid: int) -> Self | None:
        """The process that has this id now, unless it has ended."""
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # A zombie holds its id, but no namespace any more.
        return None if after_name[0] in "ZX" else cls(pid, int(after_name[FIELDS_BEFORE_START_TIME]))

    def is_alive(self) -> bool:
        return self == Process.find(self.pid)

    def kill(self, timeout: float = 30.0) -> bool:
        """End it by SIGKILL; whether it is gone after `timeout` seconds at most."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.is_alive():
                return True
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            return _has_ended(descriptor, timeout)
        finally:
            os.close(descriptor)

    def wait(self, timeout: float = 30.0) -> bool:
        """Whether it ended within `timeout` seconds."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return not self.is_alive() or _has_ended(descriptor, timeout)
        finally:
            os.close(descriptor)


def _has_ended(descriptor: int, timeout: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])
