"""mailctl and the programs it starts, killed on a real server: all old or all new, and mail flows.

MAILCTL_CRASH_SWEEP=full tries every call that changes a file, and every program.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import killed_program
import pytest
from lab_kit import Lab, password_hash, write_example

from mailctl.errors import ExitCode
from mailctl.host import Completed
from tests.crash.sweep import ENVIRONMENT, Moment, list_moments, spread, spread_over_kinds

pytestmark = [pytest.mark.real, pytest.mark.slow]

STRANGER = "stranger@partner.example"
PLACE = "    aliases:\n      info"
SCRIPT = Path(killed_program.__file__)
CHANGING = "fsync,rename,link,linkat,unlink,unlinkat"
KILLED = -signal.SIGKILL
# A program that is killed makes the apply fail, or the machine unfit, or was one that may fail.
HONEST = (ExitCode.OK, ExitCode.FAILED, ExitCode.UNFIT)


@dataclass
class Server:
    """A lab on which carol and dora take turns; every apply builds tables that there were never before."""

    lab: Lab
    text: str
    served: str = ""
    applies: int = 0

    @property
    def other(self) -> str:
        return "carol" if self.served == "dora" else "dora"

    def apply(self, *prefix: str, program: tuple[str, ...] = ("-m", "mailctl")) -> Completed:
        """Without a canary: whoever dies there dies before anything changes; tests/real/test_apply_canary.py."""
        self.applies += 1
        rows = f"      {self.other}: {{password: {{file: secrets/{self.other}}}}}\n    aliases:\n"
        text = self.text.replace(PLACE, f"{rows}      list{self.applies}: [ali]\n      info")
        self.lab.spec_file.write_text(text)
        # Byte code is not written: that is no change of the server.
        environment = (f"{name}={value}" for name, value in ENVIRONMENT.items())
        verb = ("-f", str(self.lab.spec_file), "apply", "-y", "--no-canary")
        return self.lab.sandbox.run(["env", *environment, *prefix, sys.executable, "-P", *program, *verb], timeout=120)

    def contents(self) -> str:
        places = "/etc/postfix /etc/dovecot /etc/opendkim /var/lib/mailctl/current"
        return self.lab.run("sh", "-c", f"find {places} -type f | sort | xargs sha256sum")

    def assert_serves(self, name: str, moment: str) -> None:
        """The recipients, the logins and the lookup tables all agree on who has a mailbox."""
        for each in ("carol", "dora"):
            address, is_there = f"{each}@example.org", each == name
            code = self.lab.send(STRANGER, address).replies[address].code
            assert code == (250 if is_there else 550), f"{address} got {code} after {moment}"
            login = self.lab.sandbox.run(["doveadm", "auth", "test", address, f"pw-{each}"])
            assert (login.returncode == 0) is is_there, f"login of {address} after {moment}"
        keys = "".join(f"{each}@example.org\n" for each in ("carol", "dora") * 50).encode()
        tables = self.lab.run("postconf", "-hx", "virtual_mailbox_maps").replace(",", " ").split()
        found = self.lab.run("postmap", "-q", "-", tables[0], stdin=keys)
        assert {line.split()[0] for line in found.splitlines()} == {f"{name}@example.org"}, moment
        assert self.lab.mailctl("status").returncode == 0, moment
        self.served = name


@pytest.fixture(scope="module")
def server(
    start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]
) -> Server:
    require_tools("strace")
    lab = start_lab(write_example(tmp_path_factory.mktemp("crash")))
    for name in ("carol", "dora"):
        (lab.spec_file.parent / "secrets" / name).write_text(password_hash(f"pw-{name}"))
    (lab.spec_file.parent / SCRIPT.name).write_text(SCRIPT.read_text())
    server = Server(lab, lab.spec_file.read_text())
    assert PLACE in server.text
    return server


def moments(server: Server) -> Iterator[Moment]:
    """The calls with which mailctl itself changes the server, as an apply that is left alone makes them."""
    trace = server.lab.spec_file.parent / "trace"
    done = server.apply("strace", "-y", "-s", "80", "-e", f"trace={CHANGING}", "-o", str(trace))
    assert done.returncode == 0, done.complaint
    server.served = server.other
    found = list_moments(trace.read_text(), "/")
    assert {each.name for each in found} >= {"fsync", "rename", "link"}
    yield from spread_over_kinds(found, 6)


def test_killed_at_a_call_it_is_all_old_or_all_new(server: Server) -> None:
    ends = set()
    for moment in moments(server):
        before = server.contents()
        inject = f"inject={moment.name}:signal=KILL:when={moment.number}"
        ended = server.apply("strace", "-o", "/dev/null", "-e", f"trace={moment.name}", "-e", inject)
        assert ended.returncode == KILLED, f"{moment} was not reached: {ended.complaint}"
        done = server.lab.mailctl("recover")
        assert done.returncode == 0, f"{moment}: {done.stderr}"
        after = server.contents()
        assert ".mailctl-" not in after, moment
        ends.add(after == before)
        server.assert_serves(server.served if after == before else server.other, str(moment))
    assert True in ends
    done = server.apply()
    assert done.returncode == 0, done.complaint
    server.assert_serves(server.other, "the last apply")


def test_a_program_that_is_killed_is_an_apply_that_fails(server: Server) -> None:
    script, file = str(server.lab.spec_file.parent / SCRIPT.name), server.lab.spec_file.parent / "programs"
    done = server.apply(program=(script, "count", str(file)))
    assert done.returncode == 0, done.complaint
    server.assert_serves(server.other, "an apply that was left alone")
    programs = file.read_text().splitlines()
    assert any("postmap" in each for each in programs)
    assert any("doveadm" in each for each in programs)
    failed = set()
    # Most programs run before anything is replaced; at a reload there is something to put back.
    reload = next(number for number, each in enumerate(programs, 1) if each.endswith("postfix reload"))
    for number in (reload, *spread(range(1, len(programs) + 1), 5)):
        before = server.contents()
        file.unlink()
        ended = server.apply(program=(script, str(number), str(file)))
        assert file.exists(), f"program {number} was not reached: {ended.complaint}"
        moment = f"the death of {file.read_text()}: {ended.returncode} {ended.complaint}"
        assert ended.returncode in HONEST, moment
        assert "Traceback" not in ended.complaint, moment
        assert "nothing to recover" in server.lab.mailctl("recover").stderr, moment
        is_new = ended.returncode == ExitCode.OK
        assert (server.contents() != before) is is_new, moment
        server.assert_serves(server.other if is_new else server.served, moment)
        failed.add(not is_new)
    assert True in failed
