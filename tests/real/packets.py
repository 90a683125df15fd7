"""Packets that leave a network namespace, and a machine made of one whose packets would leave; packet(7)."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mailctl.sandbox.namespaces import call_in_network_of

ALL_PROTOCOLS = 3  # linux/if_ether.h, ETH_P_ALL
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMPV6, NEIGHBOUR_DISCOVERY = 58, (135, 136)  # RFC 4861 section 4
WIRE = "out"


@dataclass
class Seen:
    """The packets of a capture, as protocol and destination, once its block has ended."""

    packets: list[str] = field(default_factory=list)


@contextmanager
def captured(pid: int, interface: str) -> Iterator[Seen]:
    """Every packet that leaves by an interface of the network namespace of `pid` as long as the block lasts.

    What the kernel says of itself over IPv6, from a link-local address or none, does not count.
    """
    seen = Seen()
    with call_in_network_of(pid, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as listening:
        listening.bind((interface, ALL_PROTOCOLS))
        listening.setblocking(False)
        yield seen
        try:
            while True:
                frame, address = listening.recvfrom(2**16)
                if address[2] == socket.PACKET_OUTGOING:
                    seen.packets += _described(frame)
        except BlockingIOError:
            return


def _described(frame: bytes) -> Iterator[str]:
    kind, packet = int.from_bytes(frame[12:14], "big"), frame[14:]
    if kind == ARP:
        yield f"ARP for {ipaddress.ip_address(packet[24:28])}"
    elif kind == IPV4:
        yield f"IPv4 protocol {packet[9]} to {ipaddress.ip_address(packet[16:20])}"
    elif kind == IPV6:
        source = ipaddress.IPv6Address(packet[8:24])
        if source.is_link_local or source.is_unspecified:
            return
        if packet[6] == ICMPV6 and packet[40] in NEIGHBOUR_DISCOVERY:
            yield f"ND for {ipaddress.IPv6Address(packet[48:64])}"
        else:
            yield f"IPv6 protocol {packet[6]} to {ipaddress.IPv6Address(packet[24:40])}"
    else:
        yield f"type {kind:#06x}"


@dataclass(frozen=True)
class Machine:
    """A network namespace with a way to everywhere, by the interface `out`; `pid` is a process in it."""

    pid: int

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        words = ["nsenter", f"--target={self.pid}", "--net", "--", *argv]
        return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def machine() -> Iterator[Machine]:
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"], stdout=-1) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            made = Machine(holder.pid)
            for line in (
                "link set lo up",
                f"link add {WIRE} type veth peer name nobody",
                "link set nobody up",
                f"link set {WIRE} up",
                f"address add 203.0.113.1/24 dev {WIRE}",
                f"address add 2001:db8:ffff::1/64 dev {WIRE} nodad",
                f"route add default via 203.0.113.254 dev {WIRE}",
                f"route add default via 2001:db8:ffff::fe dev {WIRE}",
            ):
                done = made.run(["ip", *line.split()])
                assert done.returncode == 0, done.stderr
            yield made
        finally:
            holder.kill()
