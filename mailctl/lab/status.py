"""How a lab is doing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mailctl.errors import printable
from mailctl.sandbox import Fault, ReceivedMessage, Sandbox
from mailctl.sandbox.network import SERVER_IPV4, SERVER_IPV6

# Service to the name of its first process.
MAIN_PROCESSES = {"postfix": "master", "dovecot": "dovecot", "opendkim": "opendkim"}


@dataclass(frozen=True, slots=True)
class Queued:
    """A message in the lab's queue, as postqueue(1) -j shows it; size in bytes."""

    queue_id: str
    queue: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A picture of one moment."""

    name: str
    folder: Path
    server_pid: int
    supervisor_pid: int
    hostname: str
    services: dict[str, bool]
    queue: tuple[Queued, ...]
    left: tuple[ReceivedMessage, ...]
    faults: dict[str, Fault]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "folder": str(self.folder),
            "pids": {"server": self.server_pid, "supervisor": self.supervisor_pid},
            "hostname": self.hostname,
            "addresses": [SERVER_IPV4, SERVER_IPV6],
            "services": self.services,
            "queue": [asdict(each) for each in self.queue],
            "left": [each.as_json() for each in self.left],
            "faults": dict(self.faults),
        }

    def __str__(self) -> str:
        return "\n".join(map(printable, self._lines()))

    def _lines(self) -> Iterator[str]:
        yield f"lab {self.name}: {self.hostname} at {SERVER_IPV4} and {SERVER_IPV6}, process {self.server_pid}"
        yield f"state: {self.folder}"
        yield "services: " + ", ".join(f"{name} {'up' if is_up else 'down'}" for name, is_up in self.services.items())
        yield f"queue: {len(self.queue) or 'empty'}"
        for queued in self.queue:
            route = f"<{queued.sender}> to {_addresses(queued.recipients)}"
            yield f"  {queued.queue_id} {queued.queue} {route}{_note(queued.reason)}"
        yield f"messages that left: {len(self.left) or 'none'}"
        for message in self.left:
            yield f"  {message.number} <{message.sender}> to {_addresses(message.recipients)}"
            yield f"    through {message.host}:{message.port}, {message.tls or 'no TLS'}, {_login(message.login)}"
        for host, fault in self.faults.items():
            yield f"fault: {host} {fault}"


def read_status(lab: Sandbox, name: str) -> LabStatus:
    """Ask the lab's processes, its queue and its world.

    Raises:
        MailctlError: the queue cannot be read.
    """
    processes = _process_names(lab)
    return LabStatus(
        name=name,
        folder=lab.folder,
        server_pid=lab.server.pid,
        supervisor_pid=lab.supervisor.pid,
        hostname=lab.hostname,
        services={service: process in processes for service, process in MAIN_PROCESSES.items()},
        queue=tuple(_read_queue(lab)),
        left=tuple(lab.messages()),
        faults=lab.faults(),
    )


def _process_names(lab: Sandbox) -> set[str]:
    names = set()
    for file in lab.path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has just ended
            names.add(file.read_text().strip())
    return names


def _read_queue(lab: Sandbox) -> Iterator[Queued]:
    done = lab.run(["postqueue", "-j"])
    # Without its configuration, before the first apply, it has no queue to show.
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        entry = json.loads(line)
        reasons = [each["delay_reason"] for each in entry["recipients"] if "delay_reason" in each]
        yield Queued(
            queue_id=entry["queue_id"],
            queue=entry["queue_name"],
            sender=entry["sender"],
            recipients=tuple(each["address"] for each in entry["recipients"]),
            size=entry["message_size"],
            reason=reasons[0] if reasons else "",
        )


def _addresses(recipients: tuple[str, ...]) -> str:
    return ", ".join(f"<{recipient}>" for recipient in recipients)


def _note(reason: str) -> str:
    return f": {reason}" if reason else ""


def _login(login: str) -> str:
    return f"login {login}" if login else "no login"
