"""Waiting for what takes as long as it takes, within bounds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], failure: str, timeout: float = 60) -> None:
    """Ask `holds` until it is true.

    Raises:
        AssertionError: `failure`; it was not true for `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{failure}, {timeout:.0f} s long")
        time.sleep(0.05)


def is_listening(address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
