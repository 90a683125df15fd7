"""One mailbox more on a server of 1,000, canary included, an apply that changes nothing, and 100,000 at once.

python -m bench.apply [RUNS]      in a lab, as root; beside an Ansible run that changes nothing where that is installed
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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

MAILBOXES, MANY = 1_000, 100_000
RUNS = 5
CHANGE, NOTHING, ANSIBLE = "one mailbox more, with a canary", "nothing to do", "Ansible: nothing to do"
BUDGETS = {CHANGE: 5.0, NOTHING: 0.5}  # seconds
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
    found: dict[str, list[cgroup.Usage]] = {}
    with tempfile.TemporaryDirectory(prefix="mailctl-bench.") as folder:
        with serving(Path(folder), MAILBOXES) as bench:
            bench.apply("--no-canary")
            peer = ansible_peer(bench.lab, Path(folder))
            # In turns, so that all of them meet the same load.
            for number in range(runs):
                found.setdefault(CHANGE, []).append(bench.change(2 * number))
                found.setdefault("one mailbox more, without", []).append(bench.change(2 * number + 1, "--no-canary"))
                found.setdefault(NOTHING, []).append(bench.apply())
                if peer:
                    found.setdefault(ANSIBLE, []).append(peer())
        with serving(Path(folder), MANY) as bench:
            found[f"first apply of {MANY:,}, with a canary"] = [bench.apply()]
            found[f"one more of {MANY:,}, with a canary"] = [bench.change(0)]
    report(found)


@contextmanager
def serving(folder: Path, mailboxes: int) -> Iterator[Bench]:
    """A lab without a configuration yet, and a spec of `mailboxes`."""
    spec_file = write_spec(folder, mailboxes)
    name = f"bench-apply-{os.getpid()}-{mailboxes}"
    lab = start_lab(LocalHost(), name, load_spec(spec_file), spec_file)
    try:
        yield Bench(lab, spec_file)
    finally:
        bring_down(LocalHost(), name)


def ansible_peer(lab: Sandbox, folder: Path) -> Callable[[], cgroup.Usage] | None:
    """Facts and four tasks, one of which templates main.cf, on the lab's server; None where Ansible is not there."""
    playbook = Path(sys.prefix, "bin", "ansible-playbook")
    if not playbook.exists():
        print("skip: Ansible is not installed here, so there is no peer")
        return None
    from bench.ansible_play import write_peers

    inventory = folder / "inventory"
    inventory.write_text("[mail]\nserver ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
    words = [*lab.entering(), str(playbook), "-i", str(inventory), str(next(iter(write_peers(folder).values())))]
    environment = os.environ | {"ANSIBLE_HOME": str(folder / "ansible"), "LC_ALL": "C.UTF-8"}

    def play() -> cgroup.Usage:
        return cgroup.run(words, environment)

    play()
    return play


def report(found: Mapping[str, Sequence[cgroup.Usage]]) -> None:
    for name, runs in found.items():
        wall = statistics.median(each.wall for each in runs)
        cpu = statistics.median(each.cpu for each in runs)
        print(f"{name:<39} {wall:6.2f} s  {cpu:6.2f} s of CPU{verdict(name, wall)}")
    with suppress(KeyError):
        ansible = statistics.median(each.wall for each in found[ANSIBLE])
        ours = statistics.median(each.wall for each in found[NOTHING])
        print(f"nothing to do: {ours / ansible:.2f} of Ansible's time")


def verdict(name: str, wall: float) -> str:
    if name not in BUDGETS:
        return ""
    return f"  of {BUDGETS[name]:g} s: {'ok' if wall <= BUDGETS[name] else 'OVER'}"


if __name__ == "__main__":
    main()
