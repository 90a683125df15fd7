"""What serves now: the generation, whether its files are still as applied, and its services."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mailctl.apply.journal import read_unfinished
from mailctl.components import registry
from mailctl.components.service import has_systemd, running_pid
from mailctl.errors import Problem
from mailctl.host import Host
from mailctl.plan.make import make_rollback_plan
from mailctl.plan.stored import (
    ORIGINALS,
    Meta,
    read_current,
    read_meta,
    read_original_manifest,
    read_originals,
    read_tree,
)
from mailctl.target import Target
from mailctl.tree import Tree


@dataclass(frozen=True, slots=True)
class Service:
    """A daemon the current generation needs; `pid` is None where it does not run."""

    name: str
    version: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """`number` is None before the first apply; `changed` names files that are not as that generation left them.

    `deadline` is when an unfinished apply that waits for its confirmation is undone, in seconds since 1970.
    """

    number: int | None
    meta: Meta | None
    changed: tuple[str, ...]
    problems: tuple[Problem, ...]
    services: tuple[Service, ...]
    unfinished: str | None
    deadline: float | None

    @property
    def is_well(self) -> bool:
        """Whether nothing waits for a person."""
        return not (self.changed or self.unfinished) and all(service.pid is not None for service in self.services)

    def as_json(self) -> dict[str, Any]:
        return {
            "generation": self.number,
            "applied": asdict(self.meta) if self.meta else None,
            "well": self.is_well,
            "changed": list(self.changed),
            "services": [{**asdict(each), "running": each.pid is not None} for each in self.services],
            "unfinished": self.unfinished,
            "undone_at": self.deadline,
            "diagnostics": [problem.as_json() for problem in self.problems],
        }


def read_status(host: Host, target: Target) -> Status:
    """The state of `host`; nothing is asked of services under `--root`.

    Raises:
        MailctlError: what was kept of the current generation is damaged.
    """
    number = read_current(host, target)
    plan = make_rollback_plan(number, target, host) if number else None
    journal = read_unfinished(host, target)
    return Status(
        number=number,
        meta=read_meta(host, target, number) if number else None,
        changed=tuple(change.name for change in plan.changes) if plan else (),
        problems=plan.problems if plan else (),
        services=tuple(read_services(host, target, number)),
        unfinished=journal.name if journal else None,
        deadline=journal.deadline if journal and journal.is_waiting else None,
    )


def read_services(host: Host, target: Target, number: int | None) -> list[Service]:
    """The daemons generation `number` needs; none under `--root` and before the first apply.

    Raises:
        MailctlError: what was kept of that generation is damaged.
    """
    if number is None or not host.is_live():
        return []
    versions = {
        "Postfix": target.postfix_version,
        "Dovecot": target.dovecot_version,
        "OpenDKIM": target.opendkim_version,
    }
    services = []
    for component in registry.serving_components(_tree(host, target, number)):
        daemon = component.daemon(target)
        if daemon is not None:
            version = ".".join(map(str, versions.get(component.NAME, ())))
            services.append(Service(component.NAME, version, running_pid(host, daemon)))
    return services


def how_to_start(host: Host, target: Target, name: str) -> str:
    """What starts a service of this name, and where it says why it does not run."""
    daemons = (component.daemon(target) for component in registry.COMPONENTS if name == component.NAME)
    unit = next((daemon.unit for daemon in daemons if daemon), name.lower())
    if has_systemd(host):
        return f"systemctl start {unit}; journalctl -u {unit} says why"
    return f"start {unit.removesuffix('.service').partition('@')[0]}; the mail log says why"


def _tree(host: Host, target: Target, number: int) -> Tree:
    if number != ORIGINALS:
        return read_tree(host, target, number)
    return Tree.of(read_originals(host, target, read_original_manifest(host, target).entries))
