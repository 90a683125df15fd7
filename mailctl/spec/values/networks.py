"""IP addresses and networks, hosts, ports, next hops."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from mailctl.spec.values.domains import parse_hostname
from mailctl.spec.values.text import text_of

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# Mapped addresses, NAT64, Teredo, 6to4: the clients of all of IPv4, written otherwise. RFC 4291, 6052, 4380, 3056.
_IPV4_IN_IPV6: dict[int, tuple[IPNetwork, ...]] = {
    4: (),
    6: tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96", "2001::/32", "2002::/16"))),
}


def parse_network(text: str) -> str:
    """A network in CIDR form without host bits; a single address is its own network.

    Raises:
        ValueError: not an IP network, or one wide enough to make an open relay.
    """
    value = text_of(text, "a network")
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not an IP network{_network_meant(value) or f': {error}'}") from error
    if network.prefixlen < _widest(network) or any(map(network.overlaps, _IPV4_IN_IPV6[network.version])):
        raise ValueError(f"{value!r} would let strangers relay; name the networks of your own machines")
    return f"[{network.network_address}]/{network.prefixlen}" if network.version == 6 else str(network)


def _widest(network: IPNetwork) -> int:
    """The shortest prefix of a network that one owner may have."""
    if network.is_private:
        return 8 if network.version == 4 else 16
    return 16 if network.version == 4 else 32


def _network_meant(value: str) -> str:
    try:
        return f"; did you mean {str(ipaddress.ip_network(value, strict=False))!r}?"
    except ValueError:
        return ""


def parse_host(text: str) -> str:
    """A host name, an IPv4 address or an IPv6 address, without brackets."""
    value = text_of(text, "a host")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return parse_hostname(value)


def parse_ip_address(text: str) -> str:
    """An IPv4 or IPv6 address in its shortest form, without brackets."""
    value = text_of(text, "an IP address")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not an IP address") from error


def parse_port(text: Any) -> int:
    """A TCP port, 1 to 65535, in decimal digits."""
    digits = str(text)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", digits) or int(digits) > 65535:
        raise ValueError(f"{digits!r} is not a port; write a number from 1 to 65535")
    return int(digits)


@dataclass(frozen=True, slots=True, order=True)
class NextHop:
    """Where Postfix connects: `[host]:port` without MX look-up, `host:port` with it (transport(5))."""

    host: str
    port: int
    looks_up_mx: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.looks_up_mx else f"[{self.host}]:{self.port}"


def parse_next_hop(text: str) -> NextHop:
    """`[host]:port`, `[host]`, `host:port` or `host`; brackets mean no MX look-up, the port defaults to 25.

    Raises:
        ValueError: another form, a bad host or port; an IP address without brackets.
    """
    value = text_of(text, "a host and port")
    match = re.fullmatch(r"\[([^\[\]]+)\](?::(.+))?|([^\[\]:]+)(?::(.+))?", value)
    if match is None:
        raise ValueError(f"{value!r} is not a next hop; write '[smtp.example.org]:587'")
    bracketed, bracketed_port, bare, bare_port = match.groups()
    port = parse_port(bracketed_port or bare_port or 25)
    if bracketed:
        return NextHop(parse_host(bracketed.removeprefix("ipv6:")), port)
    return NextHop(parse_hostname(bare), port, looks_up_mx=True)
