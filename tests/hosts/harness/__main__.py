"""Hosts to work on by hand: booted, named on the terminal, gone with Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from tests.hosts.harness.commands import HarnessError
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab, missing_programs
from tests.hosts.harness.machine import DebianHost
from tests.hosts.harness.network import DOMAIN as HOSTS_DOMAIN
from tests.hosts.harness.outside import DOMAIN


def main() -> int:
    """Boot hosts and wait for Ctrl-C, SIGTERM or the end of the terminal."""
    parser = argparse.ArgumentParser(prog="make hosts", description=__doc__)
    parser.add_argument("names", nargs="*", default=["mx1", "mx2", "app1"], help="mx1 mx2 app1 where none is given")
    parser.add_argument("--image", choices=list(Image), default=Image.FRESH, type=Image, help="what they hold")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        return _complain("containers need root")
    if missing := missing_programs():
        return _complain(f"not installed: {', '.join(missing)}; make install does it")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with Lab() as lab:
            hosts = lab.boot(*arguments.names, image=arguments.image)
            lab.zone.mail_domain(HOSTS_DOMAIN, *(host.fqdn for host in hosts if host.name.startswith("mx")))
            _show(lab, hosts)
            signal.pause()
    except HarnessError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        _say("\nall of it is gone again")
    return 0


def _show(lab: Lab, hosts: list[DebianHost]) -> None:
    for host in hosts:
        _say(f"{host.fqdn:20} {host.address:15} ssh -F {host.ssh_config} {host.name}")
    _say(f"\nmail to anybody@{DOMAIN} is taken by {lab.outside.address} and kept in memory")
    _say(f"wheels of this checkout: {lab.wheelhouse}")
    _say("Ctrl-C ends the hosts and removes all of it")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
