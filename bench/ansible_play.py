"""A play that changes nothing, on one host and on three: roles/site.yml beside roles that template main.cf; needs root.

python -m bench.ansible_play [RUNS]      boots the hosts, brings them to the spec, then measures; some minutes

The peers have the number and kind of tasks of two popular roles: facts and four tasks, facts and thirteen. Their files
are not the live ones. Ours covers Postfix, Dovecot, OpenDKIM, the log report and the digest. All have the same
connection, with pipelining.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.arguments import runs_from
from tests.hosts.fleet import Fleet, Outcome
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab

HOSTS = ("mx1", "mx2", "app1")
SCOPES: Mapping[str, tuple[str, ...]] = {"1 host": ("--limit", HOSTS[0]), "3 hosts": ()}
RUNS = 5
OURS = "ours: everything"
HEAD = "- hosts: mail\n  tasks:\n"
MAIN_CF = """\
    - name: Configure Postfix
      ansible.builtin.template: {src: main.cf.j2, dest: /etc/postfix/peer-main.cf, mode: "0644"}
"""
SERVICE = """\
    - name: Start Postfix, now and at every boot
      ansible.builtin.service: {name: postfix, state: started, enabled: true}
"""
FOUR_TASKS = f"""\
{HEAD}
    - name: Include the variables of the distribution
      ansible.builtin.include_vars: "{{{{ ansible_facts.os_family }}}}.yml"

    - name: Install Postfix
      ansible.builtin.package: {{name: "{{{{ postfix_packages }}}}", state: present}}

{MAIN_CF}
{SERVICE}"""
TABLE = """\
    - name: Fill a table
      ansible.builtin.lineinfile: {{dest: /etc/postfix/peer-{name}, line: "key value", create: true, mode: "0644"}}
"""
THIRTEEN_TASKS = "\n".join(
    [
        HEAD,
        """\
    - name: Remember what kind of host it is
      ansible.builtin.set_fact:
        is_guest: "{{ ansible_facts.virtualization_role | default('host') == 'guest' }}"

    - name: Answer the questions of the package
      ansible.builtin.debconf: {name: postfix, question: postfix/mailname, value: example.org, vtype: string}

    - name: Install Postfix
      ansible.builtin.apt: {name: postfix, update_cache: true, cache_valid_time: 3600}

    - name: Set the name for mail
      ansible.builtin.template: {src: name.j2, dest: /etc/postfix/peer-mailname, mode: "0644"}
""",
        MAIN_CF,
        """\
    - name: Write the passwords
      ansible.builtin.template: {src: name.j2, dest: /etc/postfix/peer-passwords, mode: "0600"}
""",
        *(TABLE.format(name=name) for name in ("aliases", "virtual", "senders", "recipients", "generic")),
        """\
    - name: Write the header checks
      ansible.builtin.template: {src: name.j2, dest: /etc/postfix/peer-headers, mode: "0644"}
""",
        SERVICE,
    ]
)
PEERS = {"peer: facts and 4 tasks": FOUR_TASKS, "peer: facts and 13 tasks": THIRTEEN_TASKS}
PEER_FILES = {
    "vars/Debian.yml": "postfix_packages: [postfix]\n",
    "templates/name.j2": "{{ inventory_hostname }}.example.org\n",
    "templates/main.cf.j2": (
        "myhostname = {{ inventory_hostname }}.example.org\n"
        "inet_interfaces = all\ninet_protocols = all\nmynetworks = 127.0.0.0/8 [::1]/128\n"
    ),
}


@dataclass(frozen=True)
class Run:
    """Seconds on the clock, and of processor time on the controller."""

    wall: float
    cpu: float


def main() -> None:
    runs = runs_from("bench.ansible_play", __doc__, RUNS)
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder, Lab() as lab:
        fleet = Fleet(lab.boot(*HOSTS, image=Image.MAIL), Path(folder))
        lab.zone.mail_domain("example.org", "mx1.example.org", "mx2.example.org")
        plays: dict[str, Callable[..., Outcome]] = {
            name: partial(fleet.play, playbook=path) for name, path in write_peers(Path(folder)).items()
        }
        plays[OURS] = fleet.play
        for name, play in plays.items():
            print(f"first run, 3 hosts, {name}: {measure(play, unchanged=False).wall:.1f} s", flush=True)
        # In turns, so that all of them meet the same load.
        found: dict[tuple[str, str], list[Run]] = {(scope, name): [] for scope in SCOPES for name in plays}
        for _ in range(runs):
            for scope, name in found:
                found[scope, name].append(measure(partial(plays[name], *SCOPES[scope]), unchanged=True))
        every_task = measure(partial(fleet.play, "-e", "mailctl_everything=true"), unchanged=True)
        print(f"{OURS}, every task all the same, host after host: {every_task.wall:.1f} s, once")
    report(found)


def write_peers(folder: Path) -> dict[str, Path]:
    for name, text in PEER_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    playbooks = {name: folder / f"peer{number}.yml" for number, name in enumerate(PEERS)}
    for name, path in playbooks.items():
        path.write_text(PEERS[name])
    return playbooks


def measure(play: Callable[[], Outcome], *, unchanged: bool) -> Run:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    outcome = play()
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if outcome.code != 0 or (unchanged and any(outcome.changed.values())):
        sys.exit(f"failed: a play that was to {'change nothing' if unchanged else 'succeed'}\n{outcome.text}")
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def report(found: Mapping[tuple[str, str], list[Run]]) -> None:
    walls = {key: statistics.median(each.wall for each in runs) for key, runs in found.items()}
    for (scope, name), runs in found.items():
        cpu = statistics.median(each.cpu for each in runs)
        smaller = min(walls[scope, peer] for peer in PEERS)
        wall = walls[scope, name]
        ratio = f"{wall / smaller:.2f} of the smaller peer"
        print(f"{scope:<8} {name:<25} {wall:6.2f} s  controller {cpu:5.2f} s of CPU  {ratio}")


if __name__ == "__main__":
    main()
