"""mailctl and the programs it starts, killed on a real server: recovery gives all old or all new, and mail flows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_kit import Lab, password_hash, write_example

from mailctl.sandbox.launch import PYTHON_ENVIRONMENT

pytestmark = [pytest.mark.real, pytest.mark.slow]

STRANGER = "stranger@partner.example"
ENVIRONMENT = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
# The system call, which one of them, and whether it is counted in mailctl alone or in each process it starts.
MOMENTS = [
    *(("fsync", number, "") for number in (3, 70)),
    *(("rename", number, "") for number in (1, 2, 3, 4)),
    ("linkat", 2, ""),
    ("execve", 1, "-f"),  # strace's own child is mailctl: the first program mailctl starts dies
    ("rename", 1, "-f"),
    ("fsync", 1, "-f"),
]


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return start_lab(write_example(tmp_path_factory.mktemp("crash")))


def contents(lab: Lab) -> str:
    return lab.run("sh", "-c", "find /etc/postfix /etc/dovecot /etc/opendkim -type f | sort | xargs sha256sum")


def test_killed_at_a_call_of_a_real_apply(lab: Lab, require_tools: Callable[..., None]) -> None:
    require_tools("strace")
    text = lab.spec_file.read_text()
    for name in ("carol", "dora"):
        (lab.spec_file.parent / "secrets" / name).write_text(password_hash(f"pw-{name}"))
    place = "    aliases:\n      info"
    specs = {
        name: text.replace(place, f"      {name}: {{password: {{file: secrets/{name}}}}}\n{place}")
        for name in ("carol", "dora")
    }
    served = "dora"
    lab.spec_file.write_text(specs[served])
    assert lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--no-canary").returncode == 0
    ends = set()
    for call, number, follow in MOMENTS:
        other = "carol" if served == "dora" else "dora"
        lab.spec_file.write_text(specs[other])
        before = contents(lab)
        kill_apply(lab, call, number, follow)
        done = lab.mailctl("recover")
        assert done.returncode == 0, done.stderr
        assert ".mailctl-" not in contents(lab)
        if contents(lab) != before:
            served = other
        ends.add(served == other)
        assert_serves(lab, served, f"{call} {number} {follow}")
        assert lab.mailctl("status").returncode == 0
    done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y")
    assert done.returncode == 0, done.stderr
    assert_serves(lab, other, "the last apply")
    assert False in ends


def kill_apply(lab: Lab, call: str, number: int, follow: str) -> None:
    """Without a canary: whoever dies there dies before anything changes; tests/real/test_apply_canary.py."""
    verb = (
        "env",
        *ENVIRONMENT,
        sys.executable,
        "-P",
        "-m",
        "mailctl",
        "-f",
        str(lab.spec_file),
        "apply",
        "-y",
        "--no-canary",
    )
    inject = f"inject={call}:signal=KILL:when={number}"
    lab.sandbox.run(["strace", *follow.split(), "-o", "/dev/null", "-e", f"trace={call}", "-e", inject, *verb])


def assert_serves(lab: Lab, served: str, moment: str) -> None:
    """The recipients, the logins and the lookup tables all agree on who has a mailbox."""
    for name in ("carol", "dora"):
        is_there = name == served
        address = f"{name}@example.org"
        code = lab.send(STRANGER, address).replies[address].code
        assert code == (250 if is_there else 550), f"{address} got {code} after {moment}"
        login = lab.sandbox.run(["doveadm", "auth", "test", address, f"pw-{name}"])
        assert (login.returncode == 0) is is_there, f"login of {address} after {moment}"
    keys = "".join(f"{name}@example.org\n" for name in ("carol", "dora") * 50).encode()
    tables = lab.run("postconf", "-hx", "virtual_mailbox_maps").replace(",", " ").split()
    found = lab.run("postmap", "-q", "-", tables[0], stdin=keys)
    assert {line.split()[0] for line in found.splitlines()} == {f"{served}@example.org"}, moment
