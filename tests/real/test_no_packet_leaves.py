"""Whatever a lab, a canary or a probe sends, no packet reaches another host: captured where it would have to leave.

The machine is a network namespace with a way to everywhere (packets.py): what is lost there would be on its wire.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from lab_kit import PROGRAMS, write_example
from packets import WIRE, Machine, Seen, captured, machine

from mailctl.host import LocalHost
from mailctl.lab.places import find_lab
from mailctl.sandbox import Sandbox
from mailctl.sandbox.namespaces import call_in_network_of
from mailctl.sandbox.network import (
    OUTSIDE_IPV4,
    OUTSIDE_IPV6,
    OUTSIDE_LINK_LOCAL,
    SERVER_IPV4,
    SERVER_IPV6,
    SERVER_LINK_LOCAL,
)

pytestmark = pytest.mark.real

# Names of the world, an address of the machine's own network, and one that only its default route knows.
OUTSIDE = ("bob@elsewhere.example", "bob@[203.0.113.77]", "bob@[198.41.0.4]", "bob@[IPv6:2001:db8:ffff::77]")
RESOLVER = {f"IPv{ip_address(each).version} protocol 17 to {each}" for each in (OUTSIDE_IPV4, OUTSIDE_IPV6)}
# What the kernel asks from time to time about the one neighbour it has talked to.
NEIGHBOURS = {f"ARP for {OUTSIDE_IPV4}", f"ARP for {SERVER_IPV4}"} | {
    f"ND for {each}" for each in (SERVER_IPV6, OUTSIDE_IPV6, SERVER_LINK_LOCAL, OUTSIDE_LINK_LOCAL)
}
NAMES = ("elsewhere.example", "localhost.example")


@pytest.fixture(scope="module")
def outer(require_root: None, require_tools: Callable[..., None]) -> Iterator[Machine]:
    require_tools(*PROGRAMS)
    with machine() as made:
        yield made


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> Path:
    require_tools("doveadm")
    return write_example(tmp_path_factory.mktemp("example"))


def mailctl(outer: Machine, *words: str) -> str:
    done = outer.run([sys.executable, "-P", "-m", "mailctl", *words])
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def lab(outer: Machine, spec_file: Path) -> Iterator[Sandbox]:
    """Brought up on the machine while its wire is watched."""
    name = f"packets-{os.getpid()}"
    try:
        with captured(outer.pid, WIRE) as seen:
            mailctl(outer, "lab", "up", "--name", name, "-f", str(spec_file))
        assert seen.packets == []
        found = find_lab(LocalHost(), name)
        assert found is not None
        yield found
    finally:
        mailctl(outer, "lab", "down", "--name", name)


def test_nothing_leaves_a_lab(outer: Machine, lab: Sandbox, spec_file: Path) -> None:
    """Mail to names and to addresses, DNS, connections, and every check of the probe."""
    before = len(lab.messages())
    with captured(outer.pid, WIRE) as seen:
        for recipient in OUTSIDE:
            lab.run(["/usr/sbin/sendmail", "-f", "ali@example.org", recipient], stdin=b"Subject: x\n\nx\n")
        for name in NAMES:
            lab.run(["getent", "ahosts", name])
        lab.call_inside(reach_everywhere)
        mailctl(outer, "lab", "probe", "--name", lab.folder.name, "-f", str(spec_file))
    assert seen.packets == []
    # They did go somewhere: to the outside world of the lab.
    assert {recipient for message in lab.messages()[before:] for recipient in message.recipients} >= set(OUTSIDE)


def apply(lab: Sandbox, spec_file: Path, message_size: str) -> Seen:
    """The lab is the machine of a canary and of a live probe: what passes its only wire while a change is applied."""
    changed = spec_file.with_name("changed.yml")
    changed.write_text(spec_file.read_text().replace("message_size: 50M", f"message_size: {message_size}"))
    words = ["apply", "-y", "-v", "-f", str(changed)]
    with captured(lab.server.pid, "eth0") as seen:
        done = lab.run([sys.executable, "-P", "-m", "mailctl", *words], timeout=300)
    assert done.returncode == 0, done.complaint
    assert b"The canary passed" in done.stderr
    return seen


def test_a_probe_of_the_live_server_makes_it_ask_its_resolver_and_nobody_else(lab: Sandbox, spec_file: Path) -> None:
    """smtpd looks up the names of its clients, those of a probe too."""
    assert set(apply(lab, spec_file, "41M").packets) <= RESOLVER | NEIGHBOURS


def test_nothing_leaves_a_canary(lab: Sandbox, spec_file: Path) -> None:
    """Beside a server that is down, so that every packet would be the canary's."""
    lab.run(["postfix", "stop"])
    assert set(apply(lab, spec_file, "42M").packets) <= NEIGHBOURS


def test_what_leaves_a_machine_is_seen(outer: Machine) -> None:
    with captured(outer.pid, WIRE) as seen:
        call_in_network_of(outer.pid, reach_everywhere)
    assert any(packet.endswith("203.0.113.254") for packet in seen.packets)
    with captured(outer.pid, WIRE) as seen:
        outer.run(["ip", "neigh", "replace", "203.0.113.254", "lladdr", "02:00:00:00:00:01", "dev", WIRE])
        outer.run(["ip", "neigh", "replace", "2001:db8:ffff::fe", "lladdr", "02:00:00:00:00:01", "dev", WIRE])
        call_in_network_of(outer.pid, reach_everywhere)
    assert {"IPv4 protocol 17 to 198.41.0.4", "IPv4 protocol 6 to 198.41.0.4"} <= set(seen.packets)
    assert {"IPv6 protocol 17 to 2001:500:2::c", "IPv6 protocol 6 to 2001:500:2::c"} <= set(seen.packets)


def reach_everywhere() -> None:
    """A DNS query and a connection to a root server, over both protocols."""
    for family, address in ((socket.AF_INET, "198.41.0.4"), (socket.AF_INET6, "2001:500:2::c")):
        with socket.socket(family, socket.SOCK_DGRAM) as query:
            query.sendto(b"\0" * 12, (address, 53))
        with socket.socket(family) as connection, suppress(OSError):
            connection.settimeout(0.2)
            connection.connect((address, 25))
