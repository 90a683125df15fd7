"""What is kept between two runs, so that each line counts once: positions in files, messages in queues, sums.

The file is JSON, replaced whole by a rename: a run that is killed leaves what was there before, and the lines it read
are read again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mailctl.maillog.compressed import LogError
from mailctl.maillog.count import Counting
from mailctl.maillog.position import Position
from mailctl.maillog.queue import Mail, Origin, Queue
from mailctl.maillog.stamps import Years
from mailctl.maillog.tally import MESSAGE, HourKey

VERSION = 1


@dataclass
class State:
    """`positions` by the path of the log; `cursor` is the place in the journal; `sums` belong to the caller."""

    positions: dict[str, Position] = field(default_factory=dict)
    cursor: str = ""
    sums: dict[str, int] = field(default_factory=dict)
    years: Years = field(default_factory=Years)
    queues: dict[bytes, Queue] = field(default_factory=dict)

    def resume(self, counting: Counting) -> None:
        """Go on in `counting` with what the run before knew."""
        # Between two runs years may pass without a line: an old February 29 tells nothing of the lines to come.
        counting.years, counting.queues = replace(self.years, leap_passed=None), self.queues

    def keep(self, counting: Counting) -> None:
        self.years, self.queues = counting.years, counting.queues

    @classmethod
    def load(cls, path: Path) -> State:
        """The state in a file; empty when there is none.

        Raises:
            LogError: it cannot be read, or is not a state: guessing would count lines twice or never.
        """
        try:
            data = json.loads(path.read_bytes())
            if data["version"] != VERSION:
                raise LogError(f"{path}: a state of version {data['version']}, not {VERSION}")
            return cls(
                positions={name: Position(**position) for name, position in data["positions"].items()},
                cursor=data.get("cursor", ""),
                sums=data["sums"],
                years=Years(**data["years"]),
                queues={queue.host: queue for queue in map(_queue_from, data["queues"])},
            )
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LogError(f"{path}: not a state of this program; remove it to count from the beginning") from error

    def save(self, path: Path) -> None:
        """Replace the file.

        Raises:
            LogError: it cannot be written.
        """
        data = {
            "version": VERSION,
            "positions": {name: asdict(position) for name, position in self.positions.items()},
            "cursor": self.cursor,
            "sums": self.sums,
            "years": asdict(self.years),
            "queues": [_queue_data(queue) for queue in self.queues.values()],
        }
        new = path.with_name(f".{path.name}.new")
        try:
            with open(new, "w", encoding="ascii", opener=_private) as file:
                json.dump(data, file, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from error


def _private(path: str, flags: int) -> int:
    # It holds addresses of messages in the queue.
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Two runs with one state would count the same lines: the second waits.

    Raises:
        LogError: the lock file beside the state cannot be made.
    """
    try:
        lock = path.with_name(f".{path.name}.lock").open("a")
    except OSError as error:
        raise LogError(f"{path}: {error.strerror or error}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Bytes of a log are no valid UTF-8; Latin-1 gives back every one of them.
def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _queue_data(queue: Queue) -> dict[str, Any]:
    return {
        "host": _text(queue.host),
        "taken": queue.taken,
        "levels": {_text(relay): _text(level) for relay, level in queue.levels.items()},
        "by_name": queue.by_name,
        "mails": {_text(key): _mail_data(mail) for key, mail in queue.mails.items()},
        # Those still in the queue are the same messages, and must be again.
        "recent": {
            _text(key): None if queue.mails.get(key) is mail else _mail_data(mail)
            for key, mail in queue.lately().items()
        },
    }


def _queue_from(data: dict[str, Any]) -> Queue:
    queue = Queue(data["host"].encode("latin-1"))
    queue.taken = int(data["taken"])
    queue.levels = {relay.encode("latin-1"): level.encode("latin-1") for relay, level in data["levels"].items()}
    queue.by_name = data["by_name"]
    queue.mails = {key.encode("latin-1"): _mail_from(mail) for key, mail in data["mails"].items()}
    for name, mail in data["recent"].items():
        key = name.encode("latin-1")
        queue.former[key] = queue.mails[key] if mail is None else _mail_from(mail)
    return queue


def _mail_data(mail: Mail) -> list[Any]:
    hour = _text(mail.hour) if isinstance(mail.hour, bytes) else [mail.hour[0], _text(mail.hour[1])]
    deferred = None if mail.deferred is None else [_text(recipient) for recipient in mail.deferred]
    return [mail.origin.value, mail.number, mail.active, _text(mail.sender), mail.size - MESSAGE, hour, deferred]


def _mail_from(data: list[Any]) -> Mail:
    origin, number, active, sender, size, hour, deferred = data
    mail = Mail()
    mail.origin = Origin(origin)
    mail.number = number
    mail.active = active
    mail.sender = sender.encode("latin-1")
    mail.size = MESSAGE + size
    mail.hour = _hour_from(hour)
    mail.deferred = None if deferred is None else {recipient.encode("latin-1") for recipient in deferred}
    return mail


def _hour_from(hour: str | list[Any]) -> HourKey:
    return hour.encode("latin-1") if isinstance(hour, str) else (int(hour[0]), hour[1].encode("latin-1"))
