"""A play that changes nothing on three hosts: roles/site.yml beside a role that templates main.cf; needs root.

python -m bench.ansible_play [RUNS]      boots the hosts, brings them to the spec, then measures; some minutes

The peer has the number and kind of tasks of the popular role: it asks for facts, picks the variables of the
distribution, installs the package, templates main.cf, sees to the service. Its file is not the live one. Ours covers
Postfix, Dovecot, OpenDKIM, the log report and the digest. Both have the same connection, with pipelining.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.fleet import Fleet, Outcome
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab

HOSTS = ("mx1", "mx2", "app1")
RUNS = 5
PEER = """\
- hosts: mail
  tasks:
    - name: Include the variables of the distribution
      ansible.builtin.include_vars: "{{ ansible_facts.os_family }}.yml"

    - name: Install Postfix
      ansible.builtin.package:
        name: "{{ postfix_packages }}"
        state: present

    - name: Configure Postfix
      ansible.builtin.template:
        src: main.cf.j2
        dest: /etc/postfix/peer-main.cf
        mode: "0644"

    - name: Start Postfix, now and at every boot
      ansible.builtin.service:
        name: postfix
        state: started
        enabled: true
"""
PEER_VARIABLES = "postfix_packages: [postfix]\n"
PEER_TEMPLATE = """\
myhostname = {{ inventory_hostname }}.example.org
inet_interfaces = all
inet_protocols = all
mynetworks = 127.0.0.0/8 [::1]/128
"""


@dataclass(frozen=True)
class Run:
    """Seconds on the clock, and of processor time on the controller."""

    wall: float
    cpu: float


def main() -> None:
    runs = int(sys.argv[1]) if sys.argv[1:] else RUNS
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder, Lab() as lab:
        fleet = Fleet(lab.boot(*HOSTS, image=Image.MAIL), Path(folder))
        lab.zone.mail_domain("example.org", "mx1.example.org", "mx2.example.org")
        peer = write_peer(Path(folder))
        plays: dict[str, Callable[[], Outcome]] = {
            "peer: facts and 4 tasks for Postfix": lambda: fleet.play(playbook=peer),
            "ours: everything": fleet.play,
        }
        for name, play in plays.items():
            print(f"first run, {name}: {measure(play, unchanged=False).wall:.1f} s")
        # In turns, so that both of them meet the same load.
        found: dict[str, list[Run]] = {name: [] for name in plays}
        for _ in range(runs):
            for name, play in plays.items():
                found[name].append(measure(play, unchanged=True))
        every_task = measure(lambda: fleet.play("-e", "mailctl_everything=true"), unchanged=True)
        print(f"ours, every task all the same, host after host: {every_task.wall:.1f} s, once")
    report(found)


def write_peer(folder: Path) -> Path:
    playbook = folder / "peer.yml"
    playbook.write_text(PEER)
    (folder / "vars").mkdir()
    (folder / "vars/Debian.yml").write_text(PEER_VARIABLES)
    (folder / "templates").mkdir()
    (folder / "templates/main.cf.j2").write_text(PEER_TEMPLATE)
    return playbook


def measure(play: Callable[[], Outcome], *, unchanged: bool) -> Run:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    outcome = play()
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert outcome.code == 0, outcome.text
    assert not (unchanged and any(outcome.changed.values())), outcome.text
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def report(found: dict[str, list[Run]]) -> None:
    walls = {name: statistics.median(each.wall for each in runs) for name, runs in found.items()}
    first = next(iter(walls.values()))
    for name, runs in found.items():
        cpu = statistics.median(each.cpu for each in runs)
        print(f"{name:<36} {walls[name]:6.2f} s  controller {cpu:5.2f} s of CPU  {walls[name] / first:.2f} of the peer")


if __name__ == "__main__":
    main()
