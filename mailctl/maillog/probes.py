"""mailctl's own probes in a log: their clients come from networks reserved for tests, where nobody else's mail is from.

RFC 2544, RFC 5737, RFC 3849.
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network

NETWORKS = ("198.19.0.0/16", "2001:db8:1000::/36", "198.51.100.0/30")

_NETWORKS = tuple(map(ip_network, NETWORKS))


def is_probe(address: bytes) -> bool:
    """Whether a client, as Postfix writes its address, is a probe of mailctl."""
    if not address.startswith(_BEGINNINGS):
        return False  # nearly all: asked of every refusal
    try:
        found = ip_address(address.decode("ascii", "replace"))
    except ValueError:
        return False
    return any(found in network for network in _NETWORKS)


def _beginning(network: str) -> bytes:
    """What the text of every address in a network begins with."""
    found = ip_network(network)
    size, separator = (8, ".") if isinstance(found, IPv4Network) else (16, ":")
    parts = str(found.network_address).split(separator)[: found.prefixlen // size]
    return "".join(part + separator for part in parts).encode()


_BEGINNINGS = tuple(map(_beginning, NETWORKS))
