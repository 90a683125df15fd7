"""Hosts of a fleet: one spec, the values of one host over it, and which host a machine is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mailctl.errors import Problem, Severity, UsageError
from mailctl.spec.hints import did_you_mean
from mailctl.spec.nodes import MappingNode
from mailctl.spec.values.domains import parse_domain

SAME_FOR_ALL = ("version", "include", "hosts")


@dataclass(frozen=True, slots=True)
class FleetMember:
    """Which host of a fleet a spec was loaded for, and what each of them is called; nothing for one server's spec.

    `host` is None, too, for the spec of a fleet as it stands, without the values of any host.
    """

    host: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def hosts_of(root: MappingNode | None) -> MappingNode | dict[str, MappingNode]:
    """The overrides by name of host; empty where the spec is about one server."""
    hosts = root.get("hosts") if root is not None else None
    return hosts if isinstance(hosts, MappingNode) else {}


def root_for(root: MappingNode, host: str | None) -> MappingNode:
    """The spec with the values of `host` over it, or as it stands where no host is named.

    Raises:
        UsageError: the spec has no such host.
    """
    if host is None:
        return root
    hosts = hosts_of(root)
    if host not in hosts:
        known = f"hosts in the spec: {', '.join(hosts)}" if hosts else "the spec has no hosts"
        raise UsageError(f"the spec has no host {host!r}", hint=did_you_mean(host, hosts) or known)
    overrides = hosts[host]
    return _with_overrides(root, overrides) if isinstance(overrides, MappingNode) else root


def host_names(root: MappingNode) -> dict[str, str]:
    """The `server.hostname` of each host of the spec."""
    return {host: _hostname(root, host) for host in hosts_of(root)}


def host_of_machine(names: Mapping[str, str], machine: str) -> str | None:
    """Which host of `names` the machine called `machine` (gethostname(2)) is; None where there are none.

    Its full name is a host's `server.hostname`. Else its short name is one host's name, or the short form of one
    host's `server.hostname`.

    Raises:
        UsageError: it is none of them, or could be several.
    """
    if not names:
        return None
    full, short = _folded(machine), _short(machine)
    by_full_name = [host for host, name in names.items() if name == full]
    by_short_name = [host for host, name in names.items() if short in (host, _short(name))]
    found = by_full_name or by_short_name
    if len(found) == 1:
        return found[0]
    which = "is none of them" if not found else f"could be {' or '.join(found)}"
    raise UsageError(
        f"the spec describes a fleet, and this machine, {machine!r}, {which}",
        hint=f"name the host with --host: {', '.join(names)}",
    )


def fleet_problems(root: MappingNode) -> Iterator[Problem]:
    """Overrides that cannot differ between hosts, and host names that must."""
    first: dict[str, str] = {}
    hosts = hosts_of(root)
    for host, overrides in hosts.items():
        if not isinstance(overrides, MappingNode):
            continue  # the model says so
        for key in SAME_FOR_ALL:
            if key in overrides:
                yield Problem(overrides.key_origin(key), f"hosts.{host}", f"{key!r} is the same for every host")
        name = _hostname(root, host)
        if name and first.setdefault(name, host) != host and isinstance(hosts, MappingNode):
            message = f"has the host name of {first[name]!r}: {name!r}"
            hint = "give it its own, server: {hostname: ...}"
            yield Problem(hosts.key_origin(host), f"hosts.{host}", message, hint, Severity.WARNING)


def _hostname(root: MappingNode, host: str) -> str:
    for holder in (hosts_of(root)[host], root):
        server = holder.get("server") if isinstance(holder, MappingNode) else None
        name = server.get("hostname") if isinstance(server, MappingNode) else None
        if isinstance(name, str):
            return _folded(name)
    return ""


def _folded(name: str) -> str:
    try:
        return parse_domain(name)
    except ValueError:
        return name.lower()


def _short(name: str) -> str:
    return _folded(name).partition(".")[0]


def _with_overrides(base: MappingNode, overrides: MappingNode) -> MappingNode:
    """`base` with the values of `overrides` over it: mappings key by key, everything else as a whole."""
    merged = base.copy()
    for key, value in overrides.items():
        below = base.get(key)
        if isinstance(value, MappingNode) and isinstance(below, MappingNode):
            merged[key] = _with_overrides(below, value)
        else:
            merged.adopt(key, overrides)
    return merged
