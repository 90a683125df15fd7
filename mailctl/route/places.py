"""Where the spec says what a table of Postfix answers."""

from __future__ import annotations

import re
from functools import cached_property

from mailctl.components.postfix.routing import relay_hops
from mailctl.errors import Origin
from mailctl.route.lookup import Found, domain_of
from mailctl.spec.derive import AliasRow, Login, PatternRow, SpecPath, alias_rows, logins, pattern_rows
from mailctl.spec.model import InternalRelay, Relay, Spec


class Places:
    """Origins by lookup key; None for what the spec does not say, as a row of a server that runs something else."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def origin(self, *path: str | int) -> Origin:
        return self._spec.origin(*path)

    def domain(self, domain: str) -> Origin | None:
        return self.origin("domains", domain) if domain in self._spec.domains else None

    def login(self, address: str) -> Origin | None:
        login = self.logins.get(address)
        return self.origin(*login.path) if login else None

    def alias(self, found: Found, address: str) -> Origin | None:
        row = self._aliases.get(found.key) or self._pattern(found.key)
        return self.origin(*row.path) if row else self.domain(domain_of(address))

    def local_alias(self, localpart: str) -> Origin | None:
        return self.origin("local_aliases", localpart) if localpart in self._spec.local_aliases else None

    def quota(self, login: Login) -> Origin | None:
        """Where the quota of a mailbox is written: its own, else the default, if anybody wrote one."""
        name, _, domain = login.address.rpartition("@")
        if self._spec.domains[domain].mailboxes[name].quota is not None:
            return self.origin(*login.path, "quota")
        return self.origin("quota", "mailbox") if "quota" in self._spec.model_fields_set else None

    def recipient_route(self, found: Found) -> Origin | None:
        paths: dict[str, SpecPath] = {}
        for index, route in enumerate(self._spec.routes):
            for position, pattern in enumerate(route.to):
                paths.setdefault(pattern, ("routes", index, "to", position))
        return self._origin_of(paths.get(found.key))

    def sender_route(self, found: Found) -> Origin | None:
        paths: dict[str, SpecPath] = {}
        for index, route in enumerate(self._spec.routes):
            if route.from_:
                paths.setdefault(route.from_, ("routes", index, "from"))
        return self._origin_of(paths.get(found.key))

    def default_route(self) -> Origin | None:
        indices = (i for i, route in enumerate(self._spec.routes) if not route.to and not route.from_)
        index = next(indices, None)
        return None if index is None else self.origin("routes", index)

    def relay(self, next_hop: str) -> tuple[str, Relay, Origin] | None:
        """The name, the record and the place of the relay behind a next hop."""
        for name, relay in self._spec.relays.items():
            if any(str(hop.next_hop) == next_hop for hop in relay_hops(relay)):
                return name, relay, self.origin("relays", name)
        return None

    def tls_level(self, key: str) -> Origin:
        """Where the TLS level of a row of smtp_tls_policy_maps is written; without a row the default level counts."""
        if key in self._spec.tls.policies:
            return self.origin("tls", "policies", key)
        if found := self.relay(key):
            return found[2]
        for index, route in enumerate(self._spec.routes):
            if isinstance(route.via, InternalRelay) and str(route.via.next_hop) == key:
                return self.origin("routes", index, "via")
        return self.origin("tls", "outbound")

    @cached_property
    def logins(self) -> dict[str, Login]:
        return {login.address: login for login in logins(self._spec)}

    @cached_property
    def _aliases(self) -> dict[str, AliasRow]:
        return {row.address: row for row in alias_rows(self._spec)}

    def _pattern(self, address: str) -> PatternRow | None:
        rows = pattern_rows(self._spec)
        return next((row for row in rows if re.search(row.pattern, address, re.IGNORECASE)), None)

    def _origin_of(self, path: SpecPath | None) -> Origin | None:
        return self.origin(*path) if path else None
