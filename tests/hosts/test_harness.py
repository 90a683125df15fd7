"""What the test hosts promise to the tests on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from testinfra import get_host

from tests.hosts.conftest import BootHosts
from tests.hosts.harness.lab import Lab
from tests.hosts.harness.machine import DebianHost
from tests.hosts.harness.waiting import is_listening, wait_until
from tests.hosts.harness.wheels import CHECKOUT


@pytest.fixture(scope="module")
def pair(hosts: BootHosts) -> list[DebianHost]:
    return hosts("alpha", "beta")


def test_a_fresh_host_runs_systemd_and_holds_no_mail_service(pair: list[DebianHost]) -> None:
    system = get_host(f"ssh://{pair[0].name}", ssh_config=str(pair[0].ssh_config))
    assert system.check_output("systemctl is-system-running") == "running"
    assert system.check_output("hostname -f") == "alpha.example.org"
    assert not system.package("postfix").is_installed
    assert not system.socket("tcp://0.0.0.0:25").is_listening


def test_hosts_reach_each_other_by_name_and_nobody_else(pair: list[DebianHost], lab: Lab) -> None:
    alpha, beta = pair
    assert alpha.run("getent", "hosts", "beta.example.org").stdout.split()[0] == beta.address
    assert alpha.run("getent", "hosts", beta.address).stdout.split()[1] == "beta.example.org"
    assert alpha.run("getent", "hosts", "debian.org", check=False).returncode == 2
    assert alpha.run("ip", "route", "show", "default").stdout == ""


def test_hosts_do_not_see_each_others_services(pair: list[DebianHost]) -> None:
    alpha, beta = pair
    alpha.run("systemctl", "restart", "rsyslog")
    assert beta.run("systemctl", "is-active", "rsyslog").stdout == "active\n"
    assert "Failed to kill control group" not in alpha.run("journalctl", "--no-pager").stdout


def test_packages_install_on_a_host_without_a_route_out(pair: list[DebianHost]) -> None:
    pair[0].run("apt-get", "-q", "update")
    pair[0].run("apt-get", "-q", "-y", "--no-install-recommends", "install", "swaks", timeout=300)
    pair[0].run("swaks", "--version")


def test_a_host_that_lost_power_boots_with_its_disk(pair: list[DebianHost], lab: Lab) -> None:
    beta = pair[1]
    beta.shell("echo kept | tee /root/note /run/note")
    lab.reboot(beta)
    assert beta.run("cat", "/root/note").stdout == "kept\n"
    assert beta.run("cat", "/run/note", check=False).returncode != 0
    assert pair[0].run("getent", "hosts", "beta.example.org").stdout.split()[0] == beta.address


def test_what_a_killed_run_left_is_cleared_by_the_next(pair: list[DebianHost], lab: Lab) -> None:
    """A second run beside this one: another slot, a host of the same name, killed without a chance to clean up."""
    script = (
        "import signal\nfrom tests.hosts.harness.lab import Lab\n"
        "with Lab() as lab:\n"
        "    (host,) = lab.boot('alpha')\n"
        "    print(host.address, lab.controller, host.folder, flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as other:
        assert other.stdout is not None
        address, controller, folder = other.stdout.readline().split()
        assert controller != lab.controller
        servers = [(address, 22), (controller, 53)]
        assert all(is_listening(*each) for each in servers)
        (mark := Path(folder, "mark")).touch()
        other.kill()
    wait_until(lambda: not any(is_listening(*each) for each in servers), f"one of {servers} outlived its run")
    assert mark.exists()
    with Lab():
        # By now a run beside this one may have taken the number.
        assert not mark.exists()
    assert pair[0].run("hostname").stdout == "alpha.example.org\n"
