"""The bridge the hosts of a run share, and the DNS server they ask; both know nothing of the world outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.hosts.harness.commands import DIE_WITH_US, run
from tests.hosts.harness.slot import Slot
from tests.hosts.harness.waiting import is_listening, wait_until

DOMAIN = "example.org"  # of the hosts
CONTROLLER, OUTSIDE, FIRST_HOST = 1, 2, 11  # last parts of addresses
START_TIMEOUT = 30.0  # seconds; dnsmasq needs a few milliseconds


class Bridge:
    """A link between the hosts and the controller; without a router no packet leaves it."""

    def __init__(self, slot: Slot) -> None:
        self.name = slot.bridge
        self._network = slot.network
        run("ip", "link", "add", self.name, "type", "bridge")
        for number in (CONTROLLER, OUTSIDE):
            run("ip", "address", "add", f"{self.address(number)}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")

    def address(self, number: int) -> str:
        return f"{self._network}.{number}"

    def remove(self) -> None:
        run("ip", "link", "delete", self.name)


class Zone:
    """All the DNS there is: hosts with their addresses both ways, and who takes the mail of a domain.

    Every other name does not exist. What is set again replaces what was there.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self._address = address
        self._file = folder / "dnsmasq.conf"
        self._records: dict[tuple[str, str], list[str]] = {}
        self._server: subprocess.Popen[bytes] | None = None

    def host(self, name: str, address: str) -> None:
        """Its address record, and the reverse of that."""
        self._set("host-record", name, [address])

    def mail_domain(self, domain: str, *exchangers: str) -> None:
        """Its MX records: full names of hosts, the preferred one first."""
        self._set("mx-host", domain, [f"{name},{rank * 10}" for rank, name in enumerate(exchangers, start=1)])

    def text(self, name: str, value: str) -> None:
        """Its TXT record, of at most 255 bytes."""
        self._set("txt-record", name, [f'"{value}"'])

    def stop(self) -> None:
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None

    def _set(self, kind: str, name: str, values: list[str]) -> None:
        if self._records.get((kind, name)) == values:
            return
        self._records[kind, name] = values
        records = [f"{kind}={name},{value}" for (kind, name), values in self._records.items() for value in values]
        # A change of user or group would take away that it dies with us.
        process = ("user=root", "group=root", "bind-interfaces", "except-interface=lo")
        base = (*process, "no-resolv", "no-hosts", "local=/#/")
        self._file.write_text("\n".join([*base, f"listen-address={self._address}", *records]) + "\n")
        # It reads these records only when it starts.
        self.stop()
        command = ["dnsmasq", "--keep-in-foreground", "--pid-file=", f"--conf-file={self._file}"]
        self._server = subprocess.Popen([*DIE_WITH_US, *command], stdin=subprocess.DEVNULL)
        wait_until(lambda: is_listening(self._address, 53), "the DNS server does not answer", START_TIMEOUT)
