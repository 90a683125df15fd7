"""Rules about relays and routes."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.errors import Problem, Severity
from mailctl.spec.derive import SpecPath, hosts_mail
from mailctl.spec.hints import did_you_mean, dotted
from mailctl.spec.model import DIRECT, Relay, Route, Spec
from mailctl.spec.presets import load_preset, relay_next_hops

# RFC 8314: TLS from the first byte, which a transport does for all its next hops or for none.
WRAPPED_TLS_PORT = 465


def route_order(spec: Spec) -> Iterator[Problem]:
    """Reading the list from the top must give what Postfix does: `to` first, then `from`, then the default."""
    last_to = max((index for index, route in enumerate(spec.routes) if route.to), default=-1)
    default = next((index for index, route in enumerate(spec.routes) if _is_default(route)), None)
    for index, route in enumerate(spec.routes):
        path = ("routes", index)
        if route.to and route.from_:
            message = "a route has `to` or `from`, not both"
            yield _problem(spec, (*path, "from"), message, "a `to` route holds whoever the sender is")
        elif default is not None and index > default:
            message = f"never reached: the route at {spec.origin('routes', default)} takes all mail"
            yield _problem(spec, path, message, "move it above that route")
        elif route.from_ and index < last_to:
            message = f"stands above a `to` route ({spec.origin('routes', last_to)}), which wins over it"
            yield _problem(spec, path, message, "move it below all `to` routes")


def repeated_routes(spec: Spec) -> Iterator[Problem]:
    seen: dict[str, SpecPath] = {}
    for index, route in enumerate(spec.routes):
        selectors: list[tuple[str, SpecPath]] = [
            (f"to {each}", ("routes", index, "to", position)) for position, each in enumerate(route.to)
        ]
        if route.from_:
            selectors.append((f"from {route.from_}", ("routes", index, "from")))
        for selector, path in selectors:
            first = seen.setdefault(selector, path)
            if first != path:
                _, _, name = selector.partition(" ")
                yield _problem(spec, path, f"{name!r} is routed already", f"first written at {spec.origin(*first)}")


def diverted_domains(spec: Spec) -> Iterator[Problem]:
    """transport_maps would take mail for a hosted domain away from its mailboxes."""
    if not hosts_mail(spec):
        return
    for index, route in enumerate(spec.routes):
        for position, recipient in enumerate(route.to):
            hosted = _hosted_by(spec, recipient)
            if hosted:
                path = ("routes", index, "to", position)
                message = f"{recipient!r} would take mail away from {hosted!r}, which is hosted here"
                yield _problem(spec, path, message, "use an alias to forward single addresses")


def unknown_relays(spec: Spec) -> Iterator[Problem]:
    for index, route in enumerate(spec.routes):
        for position, name in enumerate(route.relays):
            path: SpecPath = ("routes", index, "via")
            if isinstance(route.via, tuple):
                path = (*path, position)
            if name == DIRECT:
                yield _problem(spec, path, "direct cannot be part of a failover list", "name relays only")
            elif name not in spec.relays:
                known = f"relays: {', '.join(spec.relays)}" if spec.relays else "the spec has no relays"
                hint = did_you_mean(name, (*spec.relays, DIRECT)) or known
                yield _problem(spec, path, f"no relay is named {name!r}", hint)


def unused_relays(spec: Spec) -> Iterator[Problem]:
    used = {name for route in spec.routes for name in route.relays}
    for name in spec.relays:
        path = ("relays", name)
        if name == DIRECT:
            message = "'direct' means delivery without a relay; use another name"
            yield Problem(spec.origins.find_key(path), dotted(path), message)
        elif name not in used:
            message = "no route uses this relay"
            yield Problem(spec.origins.find_key(path), dotted(path), message, severity=Severity.WARNING)


def unresolved_presets(spec: Spec) -> Iterator[Problem]:
    for name, relay in spec.relays.items():
        try:
            relay_next_hops(relay)
        except ValueError as error:
            key = "region" if relay.region else "preset"
            hint = _similar_region(relay)
            yield _problem(spec, ("relays", name, key), str(error), hint)


def mixed_wrapper_mode(spec: Spec) -> Iterator[Problem]:
    """A failover list is one transport: port 465 cannot stand beside other ports."""
    hint = "use one kind of port for all of them; most services offer 587 too"
    bad = set()
    for name, relay in spec.relays.items():
        if len(_wraps_tls(relay)) > 1:
            bad.add(name)
            yield _problem(spec, ("relays", name, "hosts"), "mixes port 465 with other ports", hint)
    for index, route in enumerate(spec.routes):
        names = [name for name in route.relays if name in spec.relays]
        kinds = {kind for name in names for kind in _wraps_tls(spec.relays[name])}
        if len(kinds) > 1 and bad.isdisjoint(names):
            yield _problem(spec, ("routes", index, "via"), "the failover list mixes port 465 with other ports", hint)


def _wraps_tls(relay: Relay) -> set[bool]:
    try:
        return {hop.port == WRAPPED_TLS_PORT for hop in relay_next_hops(relay)}
    except ValueError:
        return set()  # unresolved_presets says so


def _hosted_by(spec: Spec, recipient: str) -> str | None:
    if recipient.startswith("."):
        return next((domain for domain in spec.domains if domain.endswith(recipient)), None)
    domain = recipient.rpartition("@")[2]
    return domain if domain in spec.domains else None


def _similar_region(relay: Relay) -> str:
    if relay.preset is None or relay.region is None:
        return ""
    return did_you_mean(relay.region, load_preset(relay.preset).regions)


def _is_default(route: Route) -> bool:
    return not route.to and route.from_ is None


def _problem(spec: Spec, path: SpecPath, message: str, hint: str = "") -> Problem:
    return Problem(spec.origin(*path), dotted(path), message, hint)
