"""The inventory of the repository over booted hosts, and runs of its playbook."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testinfra import get_host
from testinfra.host import Host

from tests.hosts.harness.machine import DebianHost
from tests.hosts.harness.waiting import wait_until

CHECKOUT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
SITE = CHECKOUT / "roles/site.yml"
TIMEOUT = 3000.0  # seconds; a first run takes a minute where nothing else is at work, and on a busy machine ten


@dataclass(frozen=True)
class Outcome:
    """What a run of a playbook said; `changed` and `failed` count tasks by host."""

    code: int
    text: str

    @property
    def changed(self) -> dict[str, int]:
        return self._count("changed")

    @property
    def failed(self) -> dict[str, int]:
        return self._count("failed")

    def _count(self, word: str) -> dict[str, int]:
        recap = re.findall(rf"^(\w+) +: ok=.* {word}=(\d+)", self.text, re.MULTILINE)
        return {host: int(count) for host, count in recap}


class Fleet:
    """`spec` is a copy of the example's, with the addresses of `hosts`: mx1, mx2, app1."""

    def __init__(self, hosts: list[DebianHost], folder: Path) -> None:
        self.hosts = {host.name: host for host in hosts}
        self._inventory = folder / "inventory"
        shutil.copytree(CHECKOUT / "inventory", self._inventory)
        self.spec = self._inventory / "files/mailctl.yml"
        for number, host in enumerate(hosts, start=11):
            for file in (self._inventory / "hosts.yml", self.spec):
                file.write_text(re.sub(rf"192\.168\.56\.{number}\b", host.address, file.read_text()))

    def play(self, *options: str, playbook: Path = SITE) -> Outcome:
        argv = self._command(playbook, options)
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=TIMEOUT)
        return Outcome(done.returncode, done.stdout + done.stderr)

    def play_until(self, text: str, happened: Callable[[], object]) -> None:
        """Run the playbook, and kill it once it has printed `text` and what that does has `happened`."""
        argv, output = self._command(SITE, ()), {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(argv, env=self._environment, text=True, start_new_session=True, **output) as run:
            assert run.stdout is not None
            before = ""
            while text not in before:
                line = run.stdout.readline()
                assert line, f"the play ended before {text!r}\n{before}"
                before += line
            wait_until(happened, f"nothing happened after {text!r}", TIMEOUT)
            os.killpg(run.pid, signal.SIGKILL)

    def _command(self, playbook: Path, options: tuple[str, ...]) -> list[str | Path]:
        return [PROGRAM, "-i", self._inventory / "hosts.yml", playbook, *options]

    @property
    def _environment(self) -> dict[str, str]:
        ssh_config = next(iter(self.hosts.values())).ssh_config
        return os.environ | {
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_COMMON_ARGS": f"-F {ssh_config}",
            "ANSIBLE_VAULT_PASSWORD_FILE": str(CHECKOUT / "inventory/example-vault-password"),
        }

    @contextmanager
    def changed_spec(self, before: str, after: str) -> Iterator[None]:
        """While this lasts, the spec says something else."""
        text = self.spec.read_text()
        assert before in text
        self.spec.write_text(text.replace(before, after))
        try:
            yield
        finally:
            self.spec.write_text(text)

    def generations(self) -> list[str]:
        """Which generation serves on each host."""
        return [host.run("cat", "/var/lib/mailctl/current").stdout.strip() for host in self.hosts.values()]

    def system(self, name: str) -> Host:
        """A host as testinfra sees it."""
        return get_host(f"ssh://{name}", ssh_config=str(self.hosts[name].ssh_config))
