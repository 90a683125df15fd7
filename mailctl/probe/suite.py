"""Making the checks against a sandbox, this machine, or another one."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType

from mailctl.errors import UsageError
from mailctl.host import LocalHost
from mailctl.probe import outside
from mailctl.probe.arena import Arena, Family, Vantage
from mailctl.probe.catalogue import select_checks
from mailctl.probe.check import Check
from mailctl.probe.clients import client_addresses
from mailctl.probe.logins import known_passwords, when_reread
from mailctl.probe.mailroom import Mailroom
from mailctl.probe.result import Report, Result, Verdict
from mailctl.probe.runner import Announce, run_checks
from mailctl.probe.subject import choose_subject, probe_logins
from mailctl.sandbox import Sandbox
from mailctl.sandbox.namespaces import call_in_network_of
from mailctl.sandbox.network import SERVER_IPV4, SERVER_IPV6, has_ipv6
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target

HELO = "probe.client.example"
STRANGER_IPV4 = "198.51.100.77"
# For a remote server, in seconds: one reply, all of it, and between connections (servers count them per client).
REMOTE_PATIENCE, REMOTE_LIMIT, REMOTE_PACE = 30.0, 900.0, 1.1
NOTHING: Mapping[str, str] = MappingProxyType({})
# People of the outside world; in a sandbox every name of it takes mail.
SANDBOX_WORLD = {
    "helo": HELO,
    "stranger": "stranger@outside.example",
    "victim": "victim@elsewhere.example",
    "literal": f"[{SERVER_IPV4}]",
}


def ignore(result: Result) -> None:
    """Announce nothing."""


def probe_sandbox(
    sandbox: Sandbox,
    spec: Spec,
    checks: Sequence[Check],
    announce: Announce = ignore,
    *,
    target: Target = DEBIAN_12,
    passwords: Mapping[str, str] | None = None,
    limit: float = Vantage.limit,
) -> Report:
    """Probe the server of a sandbox from the outside world; logins get passwords for the time of the probe.

    `passwords` are those of the logins that the checks need, where Dovecot knows them already;
    `limit` is in seconds.

    Raises:
        MailctlError: the logins cannot be prepared.
    """
    vantage = _outside_of(sandbox, spec, target, limit)
    given = known_passwords(sandbox, target, probe_logins(spec)) if passwords is None else nullcontext(passwords)
    with given as known:
        arena = Arena(
            vantage=vantage,
            subject=choose_subject(spec, known, SANDBOX_WORLD),
            deadline=time.monotonic() + vantage.limit,
            spec=spec,
            target=target,
            server=sandbox,
            mailroom=Mailroom(sandbox, target),
            logins_from=when_reread() if passwords is None else 0.0,
        )
        return sandbox.call_outside(lambda: run_checks(checks, arena, announce))


def glance_at(sandbox: Sandbox, spec: Spec, *, target: Target = DEBIAN_12) -> Report:
    """What can be asked of a sandbox at any time, in a second: nothing is sent, nobody logs in, nothing waits."""
    vantage = _outside_of(sandbox, spec, target)
    checks = [check for check in select_checks(fast=True) if not check.waits]
    arena = Arena(
        vantage=vantage,
        subject=choose_subject(spec, {}, SANDBOX_WORLD),
        deadline=time.monotonic() + vantage.limit,
        spec=spec,
        target=target,
        server=sandbox,
    )
    report = sandbox.call_outside(lambda: run_checks(checks, arena, ignore))
    # What it lacks here is for a whole probe.
    made = tuple(result for result in report.results if result.verdict is not Verdict.SKIP)
    return Report(made, report.seconds)


def _outside_of(sandbox: Sandbox, spec: Spec, target: Target, limit: float = Vantage.limit) -> Vantage:
    families = (Family.IPV4, Family.IPV6) if has_ipv6() else (Family.IPV4,)
    addresses = {Family.IPV4: SERVER_IPV4, Family.IPV6: SERVER_IPV6}
    return Vantage(
        addresses={family: addresses[family] for family in families},
        sources={family: client_addresses(family, spec.server.trusted_networks) for family in families},
        limit=limit,
        trusted_roots=sandbox.path(target.ca_file),
    )


def probe_machine(
    host: LocalHost,
    spec: Spec | None,
    checks: Sequence[Check],
    announce: Announce = ignore,
    *,
    target: Target = DEBIAN_12,
    passwords: Mapping[str, str] = NOTHING,
    people: Mapping[str, str] = NOTHING,
    trusted_networks: Iterable[str] = (),
) -> Report:
    """Probe the server of this machine from an outside made for it; no message is sent.

    `passwords` holds what the caller knows, at most one login and its password. Without a spec, `people` gives
    `hostname` and what else is known, and `trusted_networks` are those the server trusts.

    Raises:
        NeedsRootError, UnfitError, MailctlError: the outside cannot be made.
    """
    families = (Family.IPV4, Family.IPV6) if has_ipv6() else (Family.IPV4,)
    addresses = {Family.IPV4: outside.SERVER_IPV4, Family.IPV6: outside.SERVER_IPV6}
    trusted = spec.server.trusted_networks if spec else tuple(trusted_networks)
    vantage = Vantage(
        addresses={family: addresses[family] for family in families},
        sources={family: client_addresses(family, trusted) for family in families},
    )
    world = foreign_world(outside.SERVER_IPV4) | dict(people)
    arena = Arena(
        vantage=vantage,
        subject=choose_subject(spec, passwords, world, next(iter(passwords), "")),
        deadline=time.monotonic() + vantage.limit,
        spec=spec,
        target=target,
        server=host,
    )
    with outside.outside_of(host) as pid:
        return call_in_network_of(pid, lambda: run_checks(checks, arena, announce))


def probe_remote(
    name: str,
    spec: Spec | None,
    checks: Sequence[Check],
    announce: Announce = ignore,
    *,
    passwords: Mapping[str, str] = NOTHING,
) -> Report:
    """Probe the server called `name` over the network, from the address we have, at a pace servers put up with.

    Raises:
        UsageError: the name has no address.
    """
    addresses = _resolve(name)
    vantage = Vantage(addresses, patience=REMOTE_PATIENCE, limit=REMOTE_LIMIT, pace=REMOTE_PACE)
    world = foreign_world(addresses.get(Family.IPV4, "")) | {"hostname": name}
    arena = Arena(
        vantage=vantage,
        subject=choose_subject(spec, passwords, world, next(iter(passwords), "")),
        deadline=time.monotonic() + vantage.limit,
        spec=spec,
    )
    return run_checks(checks, arena, announce)


def foreign_world(server: str) -> dict[str, str]:
    """Strangers where nobody made the DNS for us: an address literal passes every check of a sender's domain."""
    return {
        "helo": HELO,
        "stranger": f"probe@[{STRANGER_IPV4}]",
        "victim": "probe@example.com",
        "literal": f"[{server}]" if server else "",
    }


def _resolve(name: str) -> dict[Family, str]:
    wanted = {socket.AF_INET: Family.IPV4, socket.AF_INET6: Family.IPV6}
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"{name!r} has no address: {error.strerror}") from error
    return {wanted[each[0]]: str(each[4][0]) for each in reversed(found) if each[0] in wanted}
