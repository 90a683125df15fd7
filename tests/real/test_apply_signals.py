"""Ctrl-C, a closed terminal, or `kill` in each phase of apply and rollback: all of it or nothing, and nothing stays."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import signalled_mailctl
from lab_kit import Lab, password_hash, write_example

from mailctl.host import Completed
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from tests.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow]

SCRIPT = Path(signalled_mailctl.__file__)
PLACE = "    aliases:\n      info"
SIGNALS = ("INT", "HUP", "TERM")
INTERRUPTED = "mailctl: interrupted"
# What is done by then is done.
TOO_LATE = {"keep", "prune"}
IS_LONG = os.environ.get("MAILCTL_SIGNALS") == "all"


@dataclass
class Server:
    """A lab whose carol comes and goes; `other` is the verb that leads to what does not serve now."""

    lab: Lab
    with_carol: str
    without: str
    has_carol: bool = False
    applies: int = 0

    def run(self, *words: str) -> Completed:
        environment = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
        script = str(self.lab.spec_file.parent / SCRIPT.name)
        return self.lab.sandbox.run(["env", *environment, sys.executable, "-P", script, *words], timeout=120)

    def apply(self, *options: str) -> list[str]:
        self.applies += 1
        text = self.without if self.has_carol else self.with_carol
        # Tables that there were never before are built.
        self.lab.spec_file.write_text(text.replace(PLACE, f"    aliases:\n      list{self.applies}: [ali]\n      info"))
        return ["-f", str(self.lab.spec_file), "apply", "-y", *options]

    def rollback(self) -> list[str]:
        history = json.loads(self.lab.mailctl("history", "--json").stdout)
        numbers = [each["number"] for each in history["generations"] if each["number"] != history["current"]]
        return ["rollback", "-y", str(max(each for each in numbers if (each - history["current"]) % 2))]

    def phases(self, verb: Callable[[], list[str]]) -> dict[str, int]:
        """How many moments each phase has when this verb takes carol away; she is there again afterwards."""
        if not self.has_carol:
            self.count(verb())
        found = self.count(verb())
        self.count(verb())
        return found

    def count(self, words: list[str]) -> dict[str, int]:
        file = self.lab.spec_file.parent / "moments"
        done = self.run("count", str(file), *words)
        assert done.returncode == 0, done.complaint
        self.has_carol = not self.has_carol
        return dict(json.loads(file.read_text()))

    def files(self) -> str:
        places = "/etc/postfix /etc/dovecot /etc/opendkim /etc/opendkim.conf /var/lib/mailctl/current"
        return self.lab.run("sh", "-c", f"find {places} -type f | sort | xargs sha256sum")

    def remains(self) -> str:
        """What a run could leave: staged files, journals, processes, links."""
        staged = self.lab.run("ls", "/var/lib/mailctl/staging", "/var/lib/mailctl/journal")
        processes = self.lab.run("ps", "-e", "-o", "comm=").split()
        lasting = sorted(name for name in processes if name in ("master", "dovecot", "opendkim", "python", "unshare"))
        return f"{staged}{lasting}{self.lab.run('ip', '-o', 'link')}"

    def mounts(self) -> set[str]:
        """Those of the machine the lab began with are among them, and go when their folder goes."""
        return set(self.lab.run("cat", "/proc/self/mountinfo").splitlines())


@pytest.fixture(scope="module")
def server(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Server:
    lab = start_lab(write_example(tmp_path_factory.mktemp("signals")))
    (lab.spec_file.parent / "secrets/carol").write_text(password_hash("pw-carol"))
    (lab.spec_file.parent / SCRIPT.name).write_text(SCRIPT.read_text())
    text = lab.spec_file.read_text()
    assert PLACE in text
    return Server(lab, text.replace(PLACE, f"      carol: {{password: {{file: secrets/carol}}}}\n{PLACE}"), text)


def moments(phases: dict[str, int]) -> Iterator[tuple[str, int, str]]:
    """One moment of each phase and a signal; in a long run the first, the middle and the last, and every signal."""
    for (phase, count), name in zip(phases.items(), itertools.cycle(SIGNALS)):
        numbers = {1, (count + 1) // 2, count} if IS_LONG else {(count + 1) // 2}
        yield from ((phase, number, each) for number in sorted(numbers) for each in (SIGNALS if IS_LONG else (name,)))


def run_until_sent(
    server: Server, moment: tuple[str, int, str], verb: Callable[[], list[str]]
) -> tuple[str, Completed]:
    """The files before, and a run that met its signal: one that waits less than the one that was counted is shorter."""
    phase, number, name = moment
    before = server.files()
    sent = server.lab.spec_file.parent / signalled_mailctl.SENT.name
    sent.unlink(missing_ok=True)
    done = server.run(phase, str(number), name, *verb())
    if sent.exists():
        return before, done
    assert done.returncode == 0, done.complaint
    assert number > 1, f"{phase} was not reached"
    server.has_carol = not server.has_carol
    return run_until_sent(server, (phase, number // 2, name), verb)


def interrupt(server: Server, moment: tuple[str, int, str], verb: Callable[[], list[str]]) -> None:
    phase, number, name = moment
    remains, mounts = server.remains(), server.mounts()
    before, done = run_until_sent(server, moment, verb)
    said = done.stderr.decode()
    where = f"{name} at moment {number} of {phase}: {said}"
    if phase in TOO_LATE:
        assert done.returncode == 0, where
        assert INTERRUPTED not in said, where
        server.has_carol = not server.has_carol
    else:
        assert done.returncode == 130, where
        assert said.splitlines()[-1] == INTERRUPTED, where
        assert said.count(INTERRUPTED) == 1, where
        assert server.files() == before, where
    assert eventually(lambda: server.remains() == remains), f"{where}\n{remains}\n{server.remains()}"
    assert server.mounts() <= mounts, where
    assert server.lab.mailctl("status").returncode == 0, where
    code = server.lab.send("stranger@partner.example", "carol@example.org").replies["carol@example.org"].code
    assert code == (250 if server.has_carol else 550), where


def test_in_each_phase_of_an_apply(server: Server) -> None:
    found = server.phases(server.apply)
    assert set(found) == set(signalled_mailctl.PHASES.values())
    for moment in moments(found):
        options = () if moment[0] == "canary" else ("--no-canary",)
        interrupt(server, moment, partial(server.apply, *options))


def test_in_each_phase_of_a_rollback(server: Server) -> None:
    server.count(server.apply("--no-canary"))
    found = server.phases(server.rollback)
    assert {"plan", "stage", "commit", "reload", "verify", "probe", "keep", "prune"} <= set(found)
    for moment in moments(found):
        interrupt(server, moment, server.rollback)
