"""Two network namespaces and the veth pair between them; the host's own is not involved.

The server has one address per family and one way out: the pair. Every other address there is belongs
to the outside (a `local` route for everything), so any name and any internal relay leads to its SMTP
servers, and a client may use any source address. Ranges: RFC 5737, RFC 3849, RFC 2544.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from mailctl.errors import MailctlError
from mailctl.host import Host

SERVER_IPV4 = "192.0.2.10"
SERVER_IPV6 = "2001:db8::10"
OUTSIDE_IPV4 = "192.0.2.1"
OUTSIDE_IPV6 = "2001:db8::1"
# Neighbours are asked from a link-local address; the kernel's own is good only after two seconds of looking for twins.
SERVER_LINK_LOCAL, OUTSIDE_LINK_LOCAL = "fe80::1", "fe80::2"
# Where a client comes from when nobody asks for another address.
CLIENT_IPV4 = "192.0.2.77"
CLIENT_IPV6 = "2001:db8::77"
FIRST_WORLD_IPV4 = IPv4Address("198.18.0.0")
FIRST_WORLD_IPV6 = IPv6Address("2001:db8:1::")


def has_ipv6() -> bool:
    """Whether the kernel speaks IPv6 at all."""
    return Path("/proc/net/if_inet6").exists()


def connect_outside(host: Host, server_pid: int) -> None:
    """Make the pair, one end here, the other in the namespace of `server_pid`; then answer for every address."""
    _configure(
        host,
        "link set lo up",
        f"link add world type veth peer name eth0 netns {server_pid}",
        f"address add {OUTSIDE_IPV4}/32 dev world",
        f"address add {OUTSIDE_IPV6}/128 dev world nodad",
        f"address add {OUTSIDE_LINK_LOCAL}/64 dev world nodad",
        "link set world up",
        # The longest prefix of table local wins: everything is ours, except the server.
        f"route add {SERVER_IPV4}/32 dev world src {OUTSIDE_IPV4} table local",
        f"route add {SERVER_IPV6}/128 dev world src {OUTSIDE_IPV6} table local",
        "route add local 0.0.0.0/0 dev lo table local",
        "route add local ::/0 dev lo table local",
    )
    if has_ipv6():
        Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")


def connect_server(host: Host) -> None:
    """Bring up the server's end of the pair; everything but loopback leaves through it."""
    _configure(
        host,
        "link set lo up",
        f"address add {SERVER_IPV4}/32 dev eth0",
        f"address add {SERVER_IPV6}/128 dev eth0 nodad",
        f"address add {SERVER_LINK_LOCAL}/64 dev eth0 nodad",
        "link set eth0 up",
        f"route add {OUTSIDE_IPV4}/32 dev eth0",
        f"route add {OUTSIDE_IPV6}/128 dev eth0",
        f"route add 0.0.0.0/0 via {OUTSIDE_IPV4}",
        f"route add ::/0 via {OUTSIDE_IPV6}",
    )


def _configure(host: Host, *commands: str) -> None:
    usable = [command for command in commands if has_ipv6() or ":" not in command]
    done = host.run(["ip", "-batch", "-"], stdin="\n".join(usable).encode())
    if done.returncode:
        raise MailctlError(f"cannot set up the private network: {done.complaint}")
