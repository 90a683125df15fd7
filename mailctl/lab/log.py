"""The mail log of a lab: all of it, or what became of one message."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

from mailctl.sandbox import Sandbox
from mailctl.target import MAIL_LOG

POLL_SECONDS = 0.2
REMOVAL_TIMEOUT = 10.0  # seconds

# What ties lines with another id to a message: a bounce of it, a hop's own id for it, its message id.
_NEXT_KEY = re.compile(r"(?:notification: |queued as |message-id=)([^\s)]+)")


def read_log(lab: Sandbox, *, follow: bool = False) -> Iterator[str]:
    """Lines so far; with `follow` also those to come, until the lab ends."""
    unfinished = ""
    with lab.path(MAIL_LOG).open(encoding="utf-8", errors="replace") as log:
        while True:
            chunk = log.readline()
            if chunk:
                unfinished += chunk
                if unfinished.endswith("\n"):
                    yield unfinished.rstrip("\n")
                    unfinished = ""
            elif follow and lab.is_alive():
                time.sleep(POLL_SECONDS)
            else:
                return


def wait_until_removed(lab: Sandbox, queue_id: str, timeout: float = REMOVAL_TIMEOUT) -> bool:
    """Whether the message left the queue (delivered, sent on or bounced) within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not any(f"{queue_id}: removed" in line for line in read_log(lab)):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def lines_of_message(lines: Iterable[str], queue_id: str) -> Iterator[str]:
    """The lines of one message, of what it was re-injected as, and of bounces it caused."""
    keys = {queue_id}
    for line in lines:
        if any(_names(line, key) for key in keys):
            keys.update(_NEXT_KEY.findall(line))
            yield line


def _names(line: str, key: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(key)}(?!\w)", line) is not None
