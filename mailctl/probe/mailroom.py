"""Where messages of a sandbox end: its mailboxes and the outside world, read once each however many ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailctl.sandbox import ReceivedMessage, Sandbox
from mailctl.sandbox.settings import MESSAGES
from mailctl.target import Target

FRESH = 0.05  # seconds for which nobody looks again


@dataclass(frozen=True, slots=True)
class Arrival:
    """One copy of a message: for a mailbox its address and `is_stored`, else the recipients in the outside world."""

    recipients: tuple[str, ...]
    content: bytes
    is_stored: bool


@dataclass
class Mailroom:
    """The messages that arrived so far. Files are written once, so each is read once."""

    sandbox: Sandbox
    target: Target
    _seen: dict[Path, Arrival] = field(default_factory=dict)
    _looked: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def copies(self, token: str) -> list[Arrival]:
        """Every copy of the message with this token."""
        mark = token.encode()
        return [arrival for arrival in self._all() if mark in arrival.content]

    def _all(self) -> list[Arrival]:
        with self._lock:
            if time.monotonic() - self._looked > FRESH:
                self._look(self.sandbox.path(self.target.mail_dir), "*/*/Maildir/new/*", _load_stored)
                self._look(self.sandbox.folder / MESSAGES, "*.json", _load_sent)
                self._looked = time.monotonic()
            return list(self._seen.values())

    def _look(self, folder: Path, pattern: str, load: Callable[[Path], Arrival]) -> None:
        for path in folder.glob(pattern):
            if path not in self._seen:
                self._seen[path] = load(path)


def _load_stored(path: Path) -> Arrival:
    """A file DOMAIN/NAME/Maildir/new/FILE."""
    domain, name = path.parts[-5:-3]
    return Arrival((f"{name}@{domain}",), path.read_bytes(), is_stored=True)


def _load_sent(path: Path) -> Arrival:
    message = ReceivedMessage.load(path)
    return Arrival(message.recipients, message.content, is_stored=False)
