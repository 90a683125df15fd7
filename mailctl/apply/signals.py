"""Moments in which Ctrl-C, SIGTERM and SIGHUP have to wait."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let nothing but SIGKILL end the process here: what is half undone helps nobody.

    A handler that does nothing, not SIG_IGN: programs started meanwhile, daemons among them, would inherit that.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
