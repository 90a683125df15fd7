"""Taking the inventory of a spec: everything it makes a server do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mailctl.plan.inventory import PASSWORD, TARGETS, Facts, Inventory, Key
from mailctl.spec import derive
from mailctl.spec.derive import SpecPath
from mailctl.spec.model import InternalRelay, Relay, Route, Spec
from mailctl.spec.values.amounts import format_size
from mailctl.spec.values.secret import Secret


def take_inventory(spec: Spec, salt: str) -> Inventory:
    """Everything `spec` makes the server do, in the order in which a plan lists it."""
    entries: dict[Key, Facts] = {}
    paths: dict[Key, SpecPath] = {}
    for key, facts, path in _entries(spec, salt.encode()):
        entries.setdefault(key, facts)
        paths.setdefault(key, path)
    return Inventory(salt, entries, paths)


Entry = tuple[Key, Facts, SpecPath]


def _entries(spec: Spec, salt: bytes) -> Iterator[Entry]:
    yield from _server(spec)
    yield from _tls(spec)
    for domain, record in spec.domains.items():
        path: SpecPath = ("domains", domain)
        yield ("domain", domain), {"quota": _quota(record.quota)}, path
        if record.dkim is not None:
            yield ("dkim", domain), {"selector": record.dkim.selector}, (*path, "dkim")
    yield from _logins(spec, salt)
    yield from _aliases(spec)
    yield from _relays(spec, salt)
    yield from _routes(spec)
    for name, value in spec.postfix.main.items():
        yield ("postfix setting", name), {"=": value}, ("postfix", "main", name)
    for name, value in spec.postfix.master.items():
        yield ("postfix service", name), {"": value}, ("postfix", "master", name)


def _server(spec: Spec) -> Iterator[Entry]:
    server = spec.server
    facts = {"role": server.role.value, "message size": format_size(server.message_size)}
    yield ("server", server.hostname), facts, ("server",)
    for position, network in enumerate(server.trusted_networks):
        yield ("trusted network", network), {}, ("server", "trusted_networks", position)
    if derive.hosts_mail(spec):
        warnings = ", ".join(f"{percent} %" for percent in spec.quota.warn) or "never"
        yield ("quota warnings", server.hostname), {"at": warnings}, ("quota",)


def _tls(spec: Spec) -> Iterator[Entry]:
    tls = spec.tls
    facts = {
        "certificate": "self-signed" if tls.self_signed else str(tls.certificate),
        "profile": tls.profile.value,
        "outbound": tls.outbound.value,
    }
    yield ("tls", spec.server.hostname), facts, ("tls",)
    for domain, policy in tls.policies.items():
        match = {"match": ", ".join(policy.match)} if policy.match else {}
        yield ("tls policy", domain), {"level": policy.level.value, **match}, ("tls", "policies", domain)
    for name, pair in tls.sni.items():
        yield ("certificate", name), {"file": str(pair.certificate)}, ("tls", "sni", name)


def _logins(spec: Spec, salt: bytes) -> Iterator[Entry]:
    for domain, record in spec.domains.items():
        deliver_to = {row.address: row.targets for row in derive.login_rows(spec, domain)}
        for name, mailbox in record.mailboxes.items():
            address = f"{name}@{domain}"
            facts: Facts = {}
            if mailbox.kind == "mailbox":
                facts["quota"] = _quota(spec.quota.mailbox if mailbox.quota is None else mailbox.quota)
            elif address in deliver_to:
                facts[TARGETS] = ", ".join(deliver_to[address])
            if mailbox.send_as:
                facts["may send as"] = ", ".join(derive.resolve(each, domain) for each in mailbox.send_as)
            if mailbox.null_sender:
                facts["null sender"] = "allowed"
            if mailbox.password is not None:
                facts[PASSWORD] = _hash_digest(mailbox.password, salt)
            yield (mailbox.kind.value, address), facts, ("domains", domain, "mailboxes", name)


def _aliases(spec: Spec) -> Iterator[Entry]:
    for row in derive.alias_rows(spec):
        if not _is_login_row(row):
            kind = "catch-all" if row.address.startswith("@") else "alias"
            yield (kind, row.address), {TARGETS: ", ".join(row.targets)}, row.path
    for pattern in derive.pattern_rows(spec):
        yield ("pattern alias", pattern.pattern), {TARGETS: ", ".join(pattern.targets)}, pattern.path
    for localpart, address in spec.local_aliases.items():
        yield ("local alias", localpart), {TARGETS: address}, ("local_aliases", localpart)


def _is_login_row(row: derive.AliasRow) -> bool:
    # Rows that belong to a login (its identity row, or where an smtp-user's bounces go) are facts of that login.
    return len(row.path) > 2 and row.path[2] == "mailboxes"


def _relays(spec: Spec, salt: bytes) -> Iterator[Entry]:
    for name, relay in spec.relays.items():
        facts: Facts = {}
        if relay.preset is not None:
            facts["preset"] = " ".join(filter(None, (relay.preset.value, relay.region)))
        if relay.hosts:
            facts["hosts"] = ", ".join(map(str, relay.hosts))
        if relay.tls is not None:
            facts["tls"] = relay.tls.value
        facts |= _credentials(relay, salt)
        yield ("relay", name), facts, ("relays", name)


def _credentials(relay: Relay, salt: bytes) -> Facts:
    if relay.username is None or relay.password is None:
        return {}
    return {"username": relay.username, PASSWORD: _password_digest(relay.password, salt)}


def _routes(spec: Spec) -> Iterator[Entry]:
    for position, route in enumerate(spec.routes):
        via = {"via": _via(route)}
        for pattern in route.to:
            yield ("route", f"to {pattern}"), via, ("routes", position)
        if route.from_ is not None:
            yield ("route", f"from {route.from_}"), via, ("routes", position)
        if not route.to and route.from_ is None:
            yield ("route", "default"), via, ("routes", position)


def _via(route: Route) -> str:
    if isinstance(route.via, InternalRelay):
        level = f" tls {route.via.tls.value}" if route.via.tls else ""
        return f"{route.via.next_hop}{level}"
    return ", then ".join(route.relays) or str(route.via)


def _quota(size: int) -> str:
    return format_size(size) if size else "unlimited"


def _hash_digest(secret: Secret, salt: bytes) -> str:
    """A digest of a password hash: that is slow and salted already, so a fast one gives nothing away."""
    return hashlib.blake2b(secret.value.encode(), digest_size=12, key=salt).hexdigest()


def _password_digest(secret: Secret, salt: bytes) -> str:
    """A digest of a plain password, slow (about 20 ms), so that guesses cannot be tried quickly on a stolen copy."""
    return hashlib.scrypt(secret.value.encode(), salt=salt, n=2**13, r=8, p=1, dklen=12).hex()
