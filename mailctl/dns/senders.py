"""Which servers a domain's mail leaves from, and the one SPF record that says so; RFC 7208."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from mailctl.spec.choices import Role
from mailctl.spec.model import InternalRelay, Relay, Route, Server, Spec
from mailctl.spec.presets import load_preset

MOST_LOOKUPS = 10  # RFC 7208 section 4.6.4, as is the next
MOST_VOIDS = 2
SENDING_ROLES = (Role.FULL, Role.SEND_ONLY, Role.RELAY)
NOBODY = "v=spf1 -all"


def sending_servers(servers: Iterable[Server]) -> tuple[Server, ...]:
    """Servers that originate mail; a backup MX only passes on what came in."""
    return tuple(server for server in servers if server.role in SENDING_ROLES)


def spf_record(spec: Spec, servers: Iterable[Server], domain: str) -> str:
    """The SPF record of a domain: the servers' addresses, which cost no look-up, and what its relays ask for.

    Where the server that stores its mail is not in the spec, its MX hosts may send too: they surely do.
    """
    fleet = tuple(servers)
    own = [term for server in sending_servers(fleet) for term in _server_terms(server)]
    if not any(server.role is Role.FULL for server in fleet):
        own.append("mx")
    includes = [f"include:{include}" for include in dict.fromkeys(spf_includes(spec, domain))]
    return " ".join(("v=spf1", *own, *includes, "-all"))


def count_lookups(record: str) -> int:
    """The look-ups of our own terms; what the includes add only the DNS knows."""
    return sum(term.startswith(("a:", "mx", "include:")) for term in record.split())


def spf_includes(spec: Spec, domain: str) -> Iterator[str]:
    """Includes of every relay that mail from the domain may take, failover included."""
    for name in relays_of(spec, domain):
        include = relay_include(spec.relays[name])
        if include:
            yield include


def relay_include(relay: Relay) -> str | None:
    """What the service wants in the SPF record of its customers."""
    if relay.spf_include or relay.preset is None:
        return relay.spf_include
    return load_preset(relay.preset).spf_include


def relays_of(spec: Spec, domain: str) -> tuple[str, ...]:
    """Names of the relays mail from the domain may take, in the order of the routes."""
    return tuple(dict.fromkeys(name for route in routes_of(spec, domain) for name in route.relays))


def routes_of(spec: Spec, domain: str) -> Iterator[Route]:
    """Routes that take mail from the domain: those by recipient, those by its senders, the default."""
    for route in spec.routes:
        if route.from_ is None or route.from_.rpartition("@")[2] == domain:
            yield route


def spf_notes(spec: Spec, domain: str) -> Iterator[str]:
    """What the SPF record cannot know."""
    for name in relays_of(spec, domain):
        relay = spec.relays[name]
        if relay.preset is None and relay.spf_include is None:
            yield f"relay {name!r}: ask for its SPF include and write relays.{name}.spf_include, or its mail fails SPF"
    for route in routes_of(spec, domain):
        if isinstance(route.via, InternalRelay) and not route.to:
            yield f"mail leaves through {route.via.host}: the SPF record must name the address the world sees it at"


def _server_terms(server: Server) -> Iterator[str]:
    for address in server.addresses:
        yield f"ip{ipaddress.ip_address(address).version}:{address}"
    if not server.addresses:
        yield f"a:{server.hostname}"
