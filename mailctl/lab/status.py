"""How a lab is doing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mailctl.errors import MailctlError, printable
from mailctl.lab.places import lab_command, read_spec_file
from mailctl.probe import Report, Verdict, glance_at, render_result, render_totals
from mailctl.sandbox import Fault, ReceivedMessage, Sandbox
from mailctl.sandbox.network import SERVER_IPV4, SERVER_IPV6
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec

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
    """A picture of one moment; `probe` is what a short probe found, or why there was none."""

    name: str
    folder: Path
    server_pid: int
    supervisor_pid: int
    hostname: str
    services: dict[str, bool]
    queue: tuple[Queued, ...]
    left: tuple[ReceivedMessage, ...]
    faults: dict[str, Fault]
    probe: Report | str

    @property
    def is_safe(self) -> bool:
        """Whether no probe failed."""
        return isinstance(self.probe, str) or self.probe.is_safe

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
            "probe": self._probe_as_json(),
        }

    def _probe_as_json(self) -> dict[str, Any]:
        if isinstance(self.probe, str):
            return {"is_safe": None, "note": self.probe}
        failed = [result.as_json() for result in self.probe.results if result.verdict is Verdict.FAIL]
        return {**self.probe.as_json(), "checks": failed}

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
        yield from self._probe_lines()

    def _probe_lines(self) -> Iterator[str]:
        if isinstance(self.probe, str):
            if self.probe:
                yield f"probe: {self.probe}"
            return
        yield f"probe: {render_totals(self.probe)}; {lab_command(self.name, 'probe')} makes every check"
        for result in self.probe.results:
            if result.verdict is Verdict.FAIL:
                yield from (f"  {line}" for line in render_result(result).split("\n"))


def read_status(lab: Sandbox, name: str, spec: Spec | None = None, *, probes: bool = False) -> LabStatus:
    """Ask the lab's processes, its queue and its world; `probes` asks its ports too, by `spec` or the lab's first one.

    Raises:
        MailctlError: the queue cannot be read.
    """
    processes = _process_names(lab)
    services = {service: process in processes for service, process in MAIN_PROCESSES.items()}
    return LabStatus(
        name=name,
        folder=lab.folder,
        server_pid=lab.server.pid,
        supervisor_pid=lab.supervisor.pid,
        hostname=lab.hostname,
        services=services,
        queue=tuple(_read_queue(lab)),
        left=tuple(lab.messages()),
        faults=lab.faults(),
        probe=_probe(lab, spec, services) if probes else "",
    )


def _probe(lab: Sandbox, spec: Spec | None, services: Mapping[str, bool]) -> Report | str:
    if not services["postfix"]:
        return "not made, Postfix is down"
    try:
        return glance_at(lab, spec or load_spec(read_spec_file(lab)))
    except MailctlError as error:
        return f"not made, {error.message}; give the spec with -f"


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
