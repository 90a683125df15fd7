"""The DNS server a user names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailctl.errors import UsageError

if TYPE_CHECKING:
    from mailctl.dns.resolve import Resolver

LONGEST_TRY = 2.0  # seconds


def make_resolver(nameserver: str | None, within: float = 9) -> Resolver:
    """Asks `nameserver` (`ADDRESS` or `ADDRESS@PORT`), else the system's; `within` seconds in all.

    Raises:
        UsageError: it is no address.
        UnfitError: dnspython is missing, or the system names no server.
    """
    from mailctl.dns.resolve import Resolver, Server
    from mailctl.spec.values.networks import parse_ip_address, parse_port

    timeout = min(LONGEST_TRY, within / 3)
    if nameserver is None:
        return Resolver.of_system(timeout=timeout, within=within)
    address, _, port = nameserver.partition("@")
    try:
        return Resolver([Server(parse_ip_address(address), parse_port(port or 53))], timeout=timeout, within=within)
    except ValueError as error:
        raise UsageError(
            f"--nameserver: {error}", hint="write an address, such as 192.0.2.53 or 192.0.2.53@5353"
        ) from error
