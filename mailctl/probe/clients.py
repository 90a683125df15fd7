"""Addresses that clients of a probe come from: another for each dialogue, since servers count what a client does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from mailctl.errors import UnfitError
from mailctl.probe.arena import Family

CLIENT_NETWORKS: Mapping[Family, IPv4Network | IPv6Network] = {
    Family.IPV4: IPv4Network("198.19.0.0/16"),  # RFC 2544
    Family.IPV6: IPv6Network("2001:db8:1000::/36"),  # RFC 3849
}
CLIENTS, FIRST_CLIENT = 4000, 256


def client_addresses(family: Family, trusted_networks: Iterable[str]) -> Iterator[str]:
    """Addresses for clients, for ever and for many threads; begins anywhere, so that runs differ.

    Raises:
        UnfitError: the server trusts some of them.
    """
    network = CLIENT_NETWORKS[family]
    if trusted := [each for each in trusted_networks if _overlap(_network(each), network)]:
        raise UnfitError(f"the server trusts {trusted[0]}, where clients of the probe come from")
    start = random.randrange(CLIENTS)  # noqa: S311 - no secret
    # Each client in a network of its own: Dovecot slows down all of a /48 where one of it failed to log in.
    step = 1 if family is Family.IPV4 else 2**80

    def client(number: int) -> str:
        return str(network[FIRST_CLIENT + (start + number) % CLIENTS * step])

    # No generator: many threads ask for the next one.
    return map(client, itertools.count())


def is_client(address: str) -> bool:
    """Whether an address is one of those clients of a probe come from; False for what is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in CLIENT_NETWORKS.values())


def _network(text: str) -> IPv4Network | IPv6Network:
    """A network as Postfix writes it, an IPv6 address in brackets: `[2001:db8::]/32`."""
    return ip_network(text.translate({ord("["): None, ord("]"): None}))


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    return one.version == other.version and one.overlaps(other)
