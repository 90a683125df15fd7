"""One mailbox more on a server of 1,000, canary included, and an apply that changes nothing; needs root.

python -m bench.apply [RUNS]      in a lab; beside an Ansible run that changes nothing where that is installed
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import cgroup
from bench.arguments import runs_from
from bench.specs import HASH, write_spec
from mailctl.host import LocalHost
from mailctl.lab.lifecycle import bring_down, start_lab
from mailctl.sandbox import Sandbox
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.spec.load import load_spec

MAILBOXES = 1_000
RUNS = 5
CHANGE_BUDGET, NOTHING_BUDGET = 5.0, 0.5  # seconds
FIRST = "    mailboxes:\n"


@dataclass(frozen=True)
class Bench:
    """A lab that serves `spec_file`."""

    lab: Sandbox
    spec_file: Path

    def apply(self, *options: str) -> cgroup.Usage:
        words = python_module("mailctl", "-q", "apply", "-y", "-f", str(self.spec_file), *options)
        return cgroup.run([*self.lab.entering(), *words], os.environ | PYTHON_ENVIRONMENT)

    def change(self, number: int, *options: str) -> cgroup.Usage:
        """Apply one mailbox more."""
        text = self.spec_file.read_text()
        row = f'      new{number}: {{password: {{hash: "{HASH}"}}}}\n'
        self.spec_file.write_text(text.replace(FIRST, FIRST + row, 1))
        return self.apply(*options)


def main() -> None:
    runs = runs_from("bench.apply", __doc__, RUNS)
    if os.geteuid() != 0:
        sys.exit("applies run in a lab, which needs root")
    name = f"bench-apply-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder:
        spec_file = write_spec(Path(folder), MAILBOXES)
        lab = start_lab(LocalHost(), name, load_spec(spec_file), spec_file)
        try:
            bench = Bench(lab, spec_file)
            bench.apply("--no-canary")
            peer = ansible_peer(lab, Path(folder))
            # In turns, so that all of them meet the same load.
            found: dict[str, list[cgroup.Usage]] = {}
            for number in range(runs):
                found.setdefault("one mailbox more, with a canary", []).append(bench.change(2 * number))
                found.setdefault("one mailbox more, without", []).append(bench.change(2 * number + 1, "--no-canary"))
                found.setdefault("nothing to do", []).append(bench.apply())
                if peer:
                    found.setdefault("Ansible: nothing to do", []).append(peer())
        finally:
            bring_down(LocalHost(), name)
    report(found)


def ansible_peer(lab: Sandbox, folder: Path) -> Callable[[], cgroup.Usage] | None:
    """A role that templates main.cf, played on the lab's server; None where Ansible or the play is not there."""
    playbook = Path(sys.prefix, "bin", "ansible-playbook")
    if importlib.util.find_spec("bench.ansible_play") is None or not playbook.exists():
        print("skip: Ansible is not installed here, so there is no peer")
        return None
    from bench.ansible_play import write_peer

    words = [str(playbook), "-c", "local", "-i", "server,", str(write_peer(folder))]
    python = ["-e", "ansible_python_interpreter=/usr/bin/python3"]
    group = folder / "inventory"
    group.write_text("[mail]\nserver ansible_connection=local\n")
    words[4] = str(group)
    environment = os.environ | {"ANSIBLE_HOME": str(folder / "ansible"), "LC_ALL": "C.UTF-8"}

    def play() -> cgroup.Usage:
        return cgroup.run([*lab.entering(), *words, *python], environment)

    play()
    return play


def report(found: dict[str, Sequence[cgroup.Usage]] | dict[str, list[cgroup.Usage]]) -> None:
    for name, runs in found.items():
        wall = statistics.median(each.wall for each in runs)
        cpu = statistics.median(each.cpu for each in runs)
        print(f"{name:<32} {wall:6.2f} s  {cpu:6.2f} s of CPU{verdict(name, wall)}")
    with suppress(KeyError):
        ansible = statistics.median(each.wall for each in found["Ansible: nothing to do"])
        ours = statistics.median(each.wall for each in found["nothing to do"])
        print(f"nothing to do: {ours / ansible:.2f} of Ansible's time")


def verdict(name: str, wall: float) -> str:
    budgets = {"one mailbox more, with a canary": CHANGE_BUDGET, "nothing to do": NOTHING_BUDGET}
    if name not in budgets:
        return ""
    return f"  of {budgets[name]:g} s: {'ok' if wall <= budgets[name] else 'OVER'}"


if __name__ == "__main__":
    main()
