"""Which mail leaves how: next hops, their credentials and TLS levels; transport(5), SASL_README, TLS_README.

Everything is keyed by the exact text of a next hop, `[host]:port`, because that is what the SMTP client
looks up for each hop of a failover list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailctl.errors import Problem
from mailctl.spec.choices import TlsLevel
from mailctl.spec.derive import SpecPath
from mailctl.spec.hints import dotted
from mailctl.spec.model import InternalRelay, Relay, Route, Spec
from mailctl.spec.presets import load_preset, relay_next_hops
from mailctl.spec.values.networks import NextHop
from mailctl.spec.values.secret import Secret

SMTPS_PORT = 465
# A master.cf service of its own: wrapper mode belongs to a transport, not to a destination.
SMTPS_TRANSPORT = "relay-smtps"
UNPROTECTED = (TlsLevel.NONE, TlsLevel.MAY)


@dataclass(frozen=True, slots=True)
class Hop:
    """One server a relay may be reached at, and how."""

    next_hop: NextHop
    tls: TlsLevel | None
    username: str | None = None
    password: Secret | None = None

    @property
    def is_wrapped(self) -> bool:
        return self.next_hop.port == SMTPS_PORT


def relay_hops(relay: Relay) -> tuple[Hop, ...]:
    """The hops of a relay in failover order.

    Raises:
        ValueError: its preset lacks hosts or the region does not exist.
    """
    return tuple(Hop(hop, _tls_level(relay), relay.username, relay.password) for hop in relay_next_hops(relay))


def destination(spec: Spec, route: Route) -> str:
    """`transport:nexthop, nexthop ...` for a route; `smtp:` alone means the recipient's own servers."""
    return render_destination(_route_hops(spec, route))


def render_destination(hops: tuple[Hop, ...]) -> str:
    transport = SMTPS_TRANSPORT if any(hop.is_wrapped for hop in hops) else "smtp"
    return f"{transport}:{', '.join(str(hop.next_hop) for hop in hops)}"


def recipient_routes(spec: Spec) -> Mapping[str, str]:
    """Rows of transport_maps; of two routes for one pattern the first counts."""
    rows: dict[str, str] = {}
    for route in spec.routes:
        for pattern in route.to:
            rows.setdefault(pattern, destination(spec, route))
    return rows


def sender_routes(spec: Spec) -> Mapping[str, str]:
    """Rows of sender_dependent_default_transport_maps; the null sender has none and takes the default route."""
    rows: dict[str, str] = {}
    for route in spec.routes:
        if route.from_ and not route.to:
            rows.setdefault(route.from_, destination(spec, route))
    return rows


def default_route(spec: Spec) -> str:
    """The value of default_transport."""
    default = next((route for route in spec.routes if not route.to and not route.from_), None)
    return destination(spec, default) if default else "smtp:"


def uses_wrapped_hops(spec: Spec) -> bool:
    return any(hop.is_wrapped for route in spec.routes for hop in _route_hops(spec, route))


def credentials(spec: Spec) -> Mapping[str, str]:
    """Rows of smtp_sasl_password_maps: next hop to `user:password`."""
    return {
        str(hop.next_hop): f"{hop.username}:{hop.password.value}"
        for hop in _all_hops(spec)
        if hop.username is not None and hop.password is not None
    }


def tls_policies(spec: Spec) -> Mapping[str, str]:
    """Rows of smtp_tls_policy_maps: next hops of relays, and the destinations of `tls.policies`."""
    rows = {str(hop.next_hop): hop.tls.value for hop in _all_hops(spec) if hop.tls}
    for domain, policy in spec.tls.policies.items():
        match = f" match={':'.join(policy.match)}" if policy.match else ""
        rows[domain] = f"{policy.level}{match}"
    return rows


def needs_dnssec(spec: Spec) -> bool:
    """Whether any level looks up TLSA records, which count only where DNSSEC protects them."""
    levels = {row.split()[0] for row in tls_policies(spec).values()}
    return spec.tls.outbound.value == TlsLevel.DANE or bool(levels & {TlsLevel.DANE, TlsLevel.DANE_ONLY})


def problems(spec: Spec) -> list[Problem]:
    """What Postfix could not do, or would do otherwise than written."""
    return [*_shared_hop_problems(spec), *_unprotected_problems(spec)]


def _tls_level(relay: Relay) -> TlsLevel | None:
    if relay.tls:
        return relay.tls
    if relay.preset:
        return load_preset(relay.preset).tls
    return TlsLevel.ENCRYPT if relay.password else None


def _route_hops(spec: Spec, route: Route) -> tuple[Hop, ...]:
    if isinstance(route.via, InternalRelay):
        return (Hop(route.via.next_hop, route.via.tls),)
    return tuple(hop for name in route.relays for hop in relay_hops(spec.relays[name]))


def _all_hops(spec: Spec) -> Iterator[Hop]:
    return (hop for _, hop in _placed_hops(spec))


def _placed_hops(spec: Spec) -> Iterator[tuple[SpecPath, Hop]]:
    """Every hop and where it is written: those of relays, and those routes name themselves."""
    for name, relay in spec.relays.items():
        for hop in relay_hops(relay):
            yield ("relays", name), hop
    for index, route in enumerate(spec.routes):
        if isinstance(route.via, InternalRelay):
            for hop in _route_hops(spec, route):
                yield ("routes", index, "via"), hop


def _shared_hop_problems(spec: Spec) -> Iterator[Problem]:
    seen: dict[str, tuple[SpecPath, Hop]] = {}
    for path, hop in _placed_hops(spec):
        first_path, first = seen.setdefault(str(hop.next_hop), (path, hop))
        if first != hop:
            message = f"{hop.next_hop} has another login or TLS level at {spec.origin(*first_path)}"
            hint = "Postfix looks both up by next hop; use another host name or port of the service for one of them"
            yield Problem(spec.origin(*path), dotted(path), message, hint)


def _unprotected_problems(spec: Spec) -> Iterator[Problem]:
    for path, hop in _placed_hops(spec):
        if hop.is_wrapped and hop.tls in UNPROTECTED:
            message = f"{hop.next_hop} speaks TLS from the first byte, so tls: {hop.tls} cannot work"
            yield Problem(spec.origin(*path), dotted(path), message, hint="use encrypt, verify or secure")
