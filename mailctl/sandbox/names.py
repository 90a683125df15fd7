"""Names and addresses of the outside world: every name has its own address, every address a name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from mailctl.sandbox.network import FIRST_WORLD_IPV4, FIRST_WORLD_IPV6, SERVER_IPV4, SERVER_IPV6

CLIENT_DOMAIN = "client.example"
LARGEST_WORLD = 2**17 - 1  # hosts in 198.18.0.0/15


class Names:
    """Gives each host name of the world an address when it is first asked for, and remembers it."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._numbers: dict[str, int] = {}
        self._by_number: dict[int, str] = {}

    def ipv4(self, name: str) -> str:
        return SERVER_IPV4 if name == self._server else str(_client(name, 4) or FIRST_WORLD_IPV4 + self._number(name))

    def ipv6(self, name: str) -> str:
        return SERVER_IPV6 if name == self._server else str(_client(name, 6) or FIRST_WORLD_IPV6 + self._number(name))

    def at(self, address: str) -> str:
        """The name of an address: the server, a host of the world, else a client named after its address."""
        if address in (SERVER_IPV4, SERVER_IPV6):
            return self._server
        return self._known(address) or f"{address.replace('.', '-').replace(':', '-')}.{CLIENT_DOMAIN}"

    def contacted(self, address: str) -> str:
        """The host a server of the world is when it was reached at `address`: a name, or the address itself."""
        return self._known(address) or address

    def _known(self, address: str) -> str | None:
        value = ip_address(address)
        first = FIRST_WORLD_IPV4 if isinstance(value, IPv4Address) else FIRST_WORLD_IPV6
        return self._by_number.get(int(value) - int(first))

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            number = len(self._numbers) % LARGEST_WORLD + 1
            self._numbers[name] = number
            self._by_number[number] = name
        return self._numbers[name]


def _client(name: str, version: int) -> IPv4Address | IPv6Address | None:
    label, _, domain = name.partition(".")
    if domain != CLIENT_DOMAIN:
        return None
    try:
        address = ip_address(label.replace("-", "." if version == 4 else ":"))
    except ValueError:
        return None
    return address if address.version == version else None
