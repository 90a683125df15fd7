"""Which host of a fleet a machine is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailctl.errors import ExitCode, UsageError
from mailctl.spec.load import load_spec

FLEET = """
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
hosts:
  mx1: {}
  second: {server: {hostname: mx2.example.org}}
  third: {server: {hostname: mx2.example.net}}
  fourth: {server: {hostname: mail.example.org}}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "mail.yml"
    path.write_text(FLEET)
    return path


@pytest.mark.parametrize(
    ("machine", "hostname"),
    [
        ("mx1", "mx1.example.org"),
        ("MX1.Example.org", "mx1.example.org"),
        ("mx2.example.net", "mx2.example.net"),
        ("second.internal", "mx2.example.org"),
        ("mail", "mail.example.org"),
    ],
)
def test_a_machine_is_known_by_its_name(fleet: Path, machine: str, hostname: str) -> None:
    assert load_spec(fleet, machine=machine).server.hostname == hostname


@pytest.mark.parametrize(
    ("machine", "which"), [("laptop", "is none of them"), ("mx2", "could be second or third"), ("", "is none of them")]
)
def test_a_machine_that_cannot_be_told_is_not_guessed(fleet: Path, machine: str, which: str) -> None:
    with pytest.raises(UsageError, match=which) as caught:
        load_spec(fleet, machine=machine)
    assert caught.value.hint == "name the host with --host: mx1, second, third, fourth"


def test_a_host_that_is_named_is_taken_on_any_machine(fleet: Path) -> None:
    assert load_spec(fleet, "fourth", machine="mx1").server.hostname == "mail.example.org"


@pytest.mark.parametrize("verb", [("plan",), ("apply", "--check"), ("render", "-o", "out")])
def test_verbs_that_make_files_want_to_know_the_host(fleet: Path, verb: tuple[str, ...]) -> None:
    fleet.write_text(FLEET.replace("mx1", "nobody-has-this-name"))
    command = [sys.executable, "-m", "mailctl", *verb, "-f", fleet.name, "--root", "root", "--json"]
    done = subprocess.run(command, cwd=fleet.parent, capture_output=True, text=True)
    assert done.returncode == ExitCode.USAGE
    assert "the spec describes a fleet" in json.loads(done.stdout)["error"]
    named = subprocess.run([*command, "--host", "fourth"], cwd=fleet.parent, capture_output=True, text=True)
    assert named.returncode == ExitCode.OK, named.stderr


def test_validate_asks_for_no_host(fleet: Path) -> None:
    command = [sys.executable, "-m", "mailctl", "validate", "-f", fleet.name]
    assert subprocess.run(command, cwd=fleet.parent, capture_output=True).returncode == ExitCode.OK
