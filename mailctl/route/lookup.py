"""Which keys Postfix looks up for an address, and in what order; virtual(5), transport(5), canonical(5)."""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.route.model import NULL_SENDER, AddressClass
from mailctl.route.server import Server, look_up, words

CLASSES = (
    (AddressClass.LOCAL, "mydestination"),
    (AddressClass.VIRTUAL_ALIAS, "virtual_alias_domains"),
    (AddressClass.VIRTUAL_MAILBOX, "virtual_mailbox_domains"),
    (AddressClass.RELAY, "relay_domains"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a table says of an address, under which key; `extension` (`+tag`) is the part the key leaves out."""

    key: str
    value: str
    extension: str = ""


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def address_class(server: Server, address: str) -> AddressClass:
    """The class of the address's domain: the first list that names it."""
    domain = domain_of(address)
    return next(
        (each for each, parameter in CLASSES if domain in words(server.parameter(parameter))), AddressClass.DEFAULT
    )


def untagged(server: Server, address: str) -> tuple[str, str]:
    """`ali+lists@example.org` as `ali@example.org` and `+lists`."""
    localpart, _, domain = address.rpartition("@")
    delimiters = server.parameter("recipient_delimiter")
    cut = min((at for mark in delimiters if (at := localpart.find(mark)) > 0), default=len(localpart))
    return f"{localpart[:cut]}@{domain}", localpart[cut:]


def find_address(server: Server, parameter: str, address: str, *, with_domain: bool = True) -> Found | None:
    """The row of `address`: itself, itself without its tag, for a local one its bare localpart, `@domain`."""
    bare, extension = untagged(server, address)
    keys = [(address, "")]
    if extension:
        keys.append((bare, extension))
    if address_class(server, address) is AddressClass.LOCAL:
        keys += [(key.rpartition("@")[0], left) for key, left in tuple(keys)]
    if with_domain:
        keys.append((f"@{domain_of(address)}", ""))
    for position, (key, left) in enumerate(keys):
        value = look_up(server, parameter, key, is_whole=position == 0)
        if value is not None:
            return Found(key, value, left)
    return None


def find_transport(server: Server, address: str) -> Found | None:
    """The row of transport_maps: the address, its domain, each parent domain as `.parent`, then `*`."""
    found = find_address(server, "transport_maps", address, with_domain=False)
    if found:
        return found
    return find_domain(server, "transport_maps", domain_of(address), ("*",))


def find_domain(server: Server, parameter: str, domain: str, last: tuple[str, ...] = ()) -> Found | None:
    """The row of a domain or, as `.parent`, of a domain above it."""
    labels = domain.split(".")
    parents = (f".{'.'.join(labels[cut:])}" for cut in range(1, len(labels)))
    for key in (domain, *parents, *last):
        value = look_up(server, parameter, key, is_whole=False)
        if value is not None:
            return Found(key, value)
    return None


def find_sender_transport(server: Server, sender: str) -> Found | None:
    """The row of sender_dependent_default_transport_maps; a stranger has none."""
    parameter = "sender_dependent_default_transport_maps"
    if sender == NULL_SENDER:
        value = look_up(server, parameter, NULL_SENDER)
        return None if value is None else Found(NULL_SENDER, value)
    return find_address(server, parameter, sender) if sender else None


def is_listed(server: Server, address: str) -> bool:
    """Whether smtpd takes mail for an address of its own domains; reject_unlisted_recipient, postconf(5)."""
    if find_address(server, "virtual_alias_maps", address):
        return True
    match address_class(server, address):
        case AddressClass.VIRTUAL_MAILBOX:
            return _is_in(server, "virtual_mailbox_maps", address)
        case AddressClass.RELAY:
            return _is_in(server, "relay_recipient_maps", address)
        case AddressClass.VIRTUAL_ALIAS:
            return False
        case AddressClass.LOCAL | AddressClass.DEFAULT:
            # Users of the system are not the spec's to know.
            return True


def _is_in(server: Server, parameter: str, address: str) -> bool:
    # Without a table Postfix takes every localpart.
    return not server.parameter(parameter) or find_address(server, parameter, address) is not None
