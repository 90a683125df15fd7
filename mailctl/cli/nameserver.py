"""The DNS server a user names."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from mailctl.errors import UsageError

if TYPE_CHECKING:
    from mailctl.dns.resolve import Resolver

PORT = 53


def make_resolver(nameserver: str | None, within: float = 9) -> Resolver:
    """A resolver that asks `nameserver` (`ADDRESS` or `ADDRESS@PORT`), else the system's; `within` in seconds.

    Raises:
        UsageError: it is no address.
        UnfitError: dnspython is missing, or the system names no server.
    """
    from mailctl.dns.resolve import Resolver, Server

    if nameserver is None:
        return Resolver.of_system(within=within)
    address, _, port = nameserver.partition("@")
    try:
        ipaddress.ip_address(address)
        number = int(port) if port else PORT
    except ValueError as error:
        raise UsageError(
            f"{nameserver!r} is no address of a DNS server", hint="write 192.0.2.53, or 127.0.0.1@5353"
        ) from error
    return Resolver((Server(address, number),), within=within)
