"""Waiting for what takes as long as it takes, within bounds."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.waiting import eventually


def wait_until(holds: Callable[[], object], failure: str, timeout: float = 60) -> None:
    """Ask `holds` until it is true.

    Raises:
        AssertionError: `failure`; it was not true for `timeout` seconds.
    """
    if not eventually(holds, timeout):
        raise AssertionError(f"{failure}, {timeout:.0f} s long")


def is_listening(address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
