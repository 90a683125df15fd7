"""`mailctl dkim` of a folder that stands for a machine: what it prints of keys, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.rrset
import pytest

from mailctl.components import opendkim
from mailctl.dkim.keys import ensure_key, key_of, public_key_record
from mailctl.dkim.states import REVOKED_RECORD, KeyState, write_states
from mailctl.host import LocalHost
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SPEC = """
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
domains:
  example.org: {dkim: {selector: s2026a, rotate: 90d}}
  example.net: {}
"""


class Machine:
    """A folder with a domain that has a key in each stage."""

    def __init__(self, folder: Path) -> None:
        self.spec_file = folder / "mail.yml"
        self.spec_file.write_text(SPEC)
        self.root = folder / "root"
        self.root.mkdir()
        self.host = LocalHost(self.root)
        spec = load_spec(self.spec_file)
        tree = Tree.of(opendkim.render(spec, DEBIAN_12))
        for file in tree:
            self.host.make_directory(file.path.parent)
            self.host.create(file.path, file.content, file.mode)
        opendkim.build(self.host, spec, DEBIAN_12, tree)
        old, new = (key_of(DEBIAN_12, "example.org", name) for name in ("s2025a", "s2026b"))
        ensure_key(self.host, DEBIAN_12, old, 2048)
        ensure_key(self.host, DEBIAN_12, new, 4096)
        first = key_of(DEBIAN_12, "example.org", "s2026a")
        ago = NOW - 400 * DAY
        states = [
            KeyState(old, ago, ago, NOW - 90 * DAY, NOW - 80 * DAY, replaced_by="s2026a"),
            KeyState(first, NOW - 91 * DAY, NOW - 90 * DAY),
            KeyState(new, NOW - DAY),
        ]
        write_states(self.host, DEBIAN_12, "example.org", states)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "mailctl", "--root", self.root, "-f", self.spec_file, "dkim", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> Machine:
    require_tools("openssl")
    return Machine(tmp_path_factory.mktemp("machine"))


def test_records_load_as_lines_of_a_zone_file(machine: Machine) -> None:
    shown = machine.run("show", "example.org")
    lines = [line for line in shown.stdout.splitlines() if not line.startswith(";")]
    found = {}
    for line in lines:
        name, rest = line.split(" IN TXT ( ")
        rrset = dns.rrset.from_text(name, 300, "IN", "TXT", rest.removesuffix(" )"))
        assert max(map(len, rrset[0].strings)) <= 255
        found[name.split(".")[0]] = b"".join(rrset[0].strings).decode()
    first, new = (
        public_key_record(machine.host, key_of(DEBIAN_12, "example.org", name)) for name in ("s2026a", "s2026b")
    )
    assert found == {"s2025a": REVOKED_RECORD, "s2026a": first, "s2026b": new}
    assert "; s2026b: pending since" in shown.stdout


def test_the_status_names_ages_and_the_next_step(machine: Machine) -> None:
    lines = machine.run("status").stdout.splitlines()
    assert lines[0] == "example.org"
    assert lines[1].split()[:2] == ["s2025a", "retired"]
    assert "(80 days)" in lines[1]
    assert lines[2].split()[:2] == ["s2026a", "signing"]
    assert lines[3].split()[:2] == ["s2026b", "pending"]
    assert lines[4:] == [
        "  next: sign with s2026b, once its record is published",
        "  next: delete s2025a, once its record is emptied or removed",
    ]
    found = json.loads(machine.run("status", "--json").stdout)["domains"]["example.org"]
    assert found["current"] == "s2026a"
    assert [step["step"] for step in found["steps"]] == ["sign", "delete"]


def test_a_rotation_of_a_folder_asks_the_dns_and_reloads_nothing(machine: Machine) -> None:
    done = machine.run("rotate", "example.org", "--nameserver", "127.0.0.1@9")
    assert done.returncode == 1
    assert "waits to sign with s2026b" in done.stdout
    assert "the servers of the zone cannot be found" in done.stdout
    assert "publish: s2026b._domainkey.example.org. IN TXT" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("rotate",), 64, "name a domain, or add --auto"),
        (("rotate", "example.org", "--auto"), 64, "name a domain, or add --auto"),
        (("rotate", "example.net"), 64, "does not sign 'example.net'"),
        (("rotate", "exampel.org"), 64, "signed domains: example.org"),
        (("keygen", "example.org", "--selector", "../x"), 64, "is not a selector"),
        (("keygen", "example.org", "--selector", "s2026c"), 64, "has a new key already: s2026b"),
        (("keygen", "example.org", "--bits", "1024"), 64, "1024"),
        (("show", "example.net"), 64, "there is no key of 'example.net'"),
    ],
)
def test_a_slip_of_the_hand_is_told(machine: Machine, words: tuple[str, ...], status: int, complaint: str) -> None:
    done = machine.run(*words)
    assert (done.returncode, complaint in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_waits_is_shown_again(machine: Machine) -> None:
    done = machine.run("keygen", "example.org")
    assert done.returncode == 0
    assert "s2026b._domainkey.example.org. IN TXT" in done.stdout
    assert "mailctl dkim rotate example.org" in done.stderr


def test_the_first_key_is_the_one_an_apply_signs_with(machine: Machine, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "mailctl", "--root", tmp_path, "-f", machine.spec_file, "dkim"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=True)

    done = run("keygen", "example.org")
    assert "Publish this record, then run `mailctl apply`" in done.stderr
    assert done.stdout.startswith("; s2026a: pending")
    status = run("status").stdout
    assert "waits for its record to be published; the next apply signs with it" in status
    assert "make a new key" not in status


def test_before_the_first_apply_there_is_no_key_to_rotate(machine: Machine, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "mailctl", "--root", tmp_path, "-f", machine.spec_file, "dkim"]

    def said(*words: str) -> str:
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=True).stdout

    assert said("show") == "; no key yet; an apply makes the first\n"
    assert said("status").splitlines() == [
        "example.org",
        "  no key yet; an apply makes the first",
    ]
