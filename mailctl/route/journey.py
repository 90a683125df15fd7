"""Follows one mail through Postfix: taken or refused, rewritten, classed, handed to a transport; OVERVIEW.

The decisions are those of the configuration that is asked (server.py); the spec only tells where each comes from.
"""

from __future__ import annotations

from mailctl.dkim.keys import DkimKey, signing_keys
from mailctl.errors import Origin
from mailctl.route.entry import enter
from mailctl.route.lookup import (
    Found,
    address_class,
    domain_of,
    find_address,
    find_domain,
    find_sender_transport,
    find_transport,
    is_listed,
    untagged,
)
from mailctl.route.model import AddressClass, Delivery, Hop, Journey, Mail, Step, StepKind
from mailctl.route.places import Places
from mailctl.route.server import Server, look_up, words
from mailctl.spec.derive import signs
from mailctl.spec.model import Spec
from mailctl.spec.values.amounts import format_size
from mailctl.target import Target

MOST_ADDRESSES = 1000  # virtual_alias_expansion_limit, postconf(5)
WRAPPED_PORT = ":465"
ENCRYPT = "encrypt"


def trace(spec: Spec, target: Target, server: Server, mail: Mail) -> Journey:
    """What `server` does with `mail`; steps name the lines of `spec` that decide."""
    places = Places(spec)
    entry = enter(server, places, mail)
    key = _signing_key(spec, target, mail)
    walk = _Walk(server, places, mail)
    walk.follow(mail.recipient)
    if key:
        says = f"{key.record_name}, or the key that took over"
        walk.steps.insert(
            0, Step(StepKind.SIGNATURE, mail.recipient, says, places.origin("domains", key.domain, "dkim"))
        )
    deliveries = tuple({each.address: each for each in walk.deliveries}.values())
    return Journey(mail, (*entry.steps, *walk.steps), deliveries, entry.reply, key.record_name if key else "")


def _signing_key(spec: Spec, target: Target, mail: Mail) -> DkimKey | None:
    """The key of the sender's domain; what comes from outside is passed on as it came."""
    if not (mail.login and signs(spec)):
        return None
    return next((key for key in signing_keys(spec, target) if key.domain == mail.sender_domain), None)


class _Walk:
    """Collects the steps and ends of one mail; an address is followed once, as Postfix drops duplicates."""

    def __init__(self, server: Server, places: Places, mail: Mail) -> None:
        self.server = server
        self.places = places
        self.mail = mail
        self.steps: list[Step] = []
        self.deliveries: list[Delivery] = []
        self._seen: set[str] = set()

    def follow(self, address: str) -> None:
        if address in self._seen:
            return
        self._seen.add(address)
        if len(self._seen) > MOST_ADDRESSES:
            self._step(StepKind.BOUNCE, address, f"the aliases lead to more than {MOST_ADDRESSES} addresses")
            return
        targets = self._rewrite("virtual_alias_maps", address)
        if targets == (address,):
            self._deliver(address)
        for target in targets if targets != (address,) else ():
            self._deliver(target) if target == address else self.follow(target)

    def _rewrite(self, parameter: str, address: str, *, with_domain: bool = True) -> tuple[str, ...]:
        """What an alias table makes of `address`: itself where it has no row, or one that names it; tags are kept."""
        found = find_address(self.server, parameter, address, with_domain=with_domain)
        if found is None:
            return (address,)
        targets = tuple(self._tagged(target, found.extension) for target in words(found.value))
        if targets != (address,):
            says = f"becomes {', '.join(targets)}{_how(found, address)}"
            self._step(StepKind.ALIAS, address, says, self.places.alias(found, address))
        return targets

    def _tagged(self, target: str, extension: str) -> str:
        localpart, at, domain = target.rpartition("@")
        if not at:
            return f"{target}{extension}@{self.server.parameter('myhostname')}"
        return f"{localpart}{extension}@{domain}"

    def _deliver(self, address: str) -> None:
        kind = address_class(self.server, address)
        domain = domain_of(address)
        self._step(StepKind.CLASS, address, _class_words(kind, domain), self.places.domain(domain))
        if kind is AddressClass.LOCAL and self._expand_local(address):
            return
        if kind is AddressClass.LOCAL:
            # local_recipient_maps asks the machine for its users, postconf(5); no configuration lists them.
            user = untagged(self.server, address)[0].rpartition("@")[0]
            self._step(StepKind.CONDITION, address, f"provided that the machine has the user {user}; else 550")
        if not is_listed(self.server, address):
            self._step(
                StepKind.BOUNCE, address, "bounces: there is no such mailbox or alias", self.places.domain(domain)
            )
            return
        self._send(address, kind)

    def _expand_local(self, address: str) -> bool:
        """Whether aliases(5) leads elsewhere."""
        bare, _ = untagged(self.server, address)
        localpart = bare.rpartition("@")[0]
        value = look_up(self.server, "alias_maps", localpart)
        if value is None:
            return False
        targets = tuple(self._tagged(target, "") for target in words(value))
        self._step(
            StepKind.ALIAS, address, f"becomes {', '.join(targets)} (aliases)", self.places.local_alias(localpart)
        )
        for target in targets:
            self.follow(target)
        return True

    def _send(self, address: str, kind: AddressClass) -> None:
        destination, origin, why = self._destination(address, kind)
        transport, _, next_hops = destination.partition(":")
        says = f"{transport} to {next_hops}" if next_hops else f"{transport} to the MX of {domain_of(address)}"
        self._step(StepKind.TRANSPORT, address, f"{says}{why}", origin)
        hops = tuple(self._hop(address, transport, each) for each in words(next_hops) or (domain_of(address),))
        is_smtp = kind in (AddressClass.DEFAULT, AddressClass.RELAY)
        quota = self._quota(address) if kind is AddressClass.VIRTUAL_MAILBOX else 0
        self.deliveries.append(Delivery(address, kind, destination, hops if is_smtp else (), quota))
        for number, hop in enumerate(hops if is_smtp else ()):
            self._hop_step(address, hop, f"{number + 1}. " if len(hops) > 1 else "")

    def _destination(self, address: str, kind: AddressClass) -> tuple[str, Origin | None, str]:
        """`transport:nexthop` for an address, where the spec says so, and why."""
        if found := find_transport(self.server, address):
            return found.value, self.places.recipient_route(found), f" (route to {found.key})"
        if kind is AddressClass.DEFAULT:
            if found := find_sender_transport(self.server, self.mail.sender):
                return found.value, self.places.sender_route(found), f" (route from {found.key})"
            return self.server.parameter("default_transport"), self.places.default_route(), ""
        parameter = "relay_transport" if kind is AddressClass.RELAY else f"{kind.split()[0]}_transport"
        return self.server.parameter(parameter), None, ""

    def _hop(self, address: str, transport: str, next_hop: str) -> Hop:
        level = self._tls_row(next_hop)
        tls = level.value if level else self.server.parameter("smtp_tls_security_level")
        if next_hop.endswith(WRAPPED_PORT) and tls in ("", "may"):
            tls = ENCRYPT  # the transport for port 465 says so
        relay = self.places.relay(next_hop)
        return Hop(next_hop, tls, relay[1].username if relay else None)

    def _tls_row(self, next_hop: str) -> Found | None:
        """The row of smtp_tls_policy_maps; only plain domains have rows of their parents too."""
        if next_hop.startswith("[") or ":" in next_hop:
            level = look_up(self.server, "smtp_tls_policy_maps", next_hop)
            return Found(next_hop, level) if level is not None else None
        return find_domain(self.server, "smtp_tls_policy_maps", next_hop)

    def _hop_step(self, address: str, hop: Hop, order: str) -> None:
        relay = self.places.relay(hop.next_hop)
        row = self._tls_row(hop.next_hop)
        name = f"{relay[0]} " if relay else "" if hop.next_hop.startswith("[") else "MX of "
        login = f", logs in as {hop.username}" if hop.username else ""
        origin = relay[2] if relay else self.places.tls_level(row.key if row else "")
        self._step(StepKind.RELAY, address, f"{order}{name}{hop.next_hop}, TLS {hop.tls or 'none'}{login}", origin)

    def _quota(self, address: str) -> int:
        bare, _ = untagged(self.server, address)
        login = self.places.logins.get(bare)
        if login is None:
            return 0
        own = f"{format_size(login.quota)} for the mailbox" if login.quota else "no limit for the mailbox"
        shared = f", {format_size(login.domain_quota)} for {domain_of(bare)}" if login.domain_quota else ""
        self._step(StepKind.QUOTA, address, f"{own}{shared}", self.places.quota(login))
        return login.quota

    def _step(self, kind: StepKind, address: str, says: str, origin: Origin | None = None) -> None:
        self.steps.append(Step(kind, address, says, origin))


def _how(found: Found, address: str) -> str:
    if found.key.startswith("@"):
        return " (catch-all)"
    if found.extension:
        return f" ({found.key} with its tag {found.extension})"
    return ""


def _class_words(kind: AddressClass, domain: str) -> str:
    match kind:
        case AddressClass.LOCAL:
            return f"{domain} is this machine: users of the system"
        case AddressClass.VIRTUAL_MAILBOX:
            return f"{domain} is hosted here: virtual mailboxes"
        case AddressClass.VIRTUAL_ALIAS:
            return f"{domain} is hosted here: virtual aliases only"
        case AddressClass.RELAY:
            return f"{domain} is queued here for its primary server"
        case AddressClass.DEFAULT:
            return f"{domain} is hosted elsewhere"
