"""`mailctl dns` as a user runs it: exit codes, formats, changes, mistakes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailctl.errors import ExitCode
from tests.dns.conftest import FOLDER, Machine
from tests.dns.server import ADDRESS, World, serving

LIMIT = 60  # seconds a busy machine may take to start a program and ask a server on it


@pytest.fixture
def folder(tmp_path: Path, machine: Machine) -> Path:
    """A folder with the good spec, and under `root` the machine's keys and certificate."""
    shutil.copy(FOLDER / "good.yml", tmp_path / "mailctl.yml")
    shutil.copytree(machine.host.root, tmp_path / "root")
    return tmp_path


def run(folder: Path, *arguments: str, modules: Path = FOLDER.parents[1]) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mailctl", "dns", *arguments, "--root", "root"]
    environment = {**os.environ, "PYTHONPATH": f"{modules}:{FOLDER.parents[1]}"}
    return subprocess.run(argv, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@contextmanager
def world(machine: Machine, change: str = "", faults: Mapping[str, str] | None = None) -> Iterator[tuple[str, ...]]:
    """Arguments that ask a server with the good zone and a change."""
    with serving(World(machine.zone((FOLDER / "good.zone").read_text() + change), faults)) as port:
        yield ("--nameserver", f"{ADDRESS}@{port}", "--timeout", str(LIMIT))


BAD_MX = "example.org. MX 20 mx9.example.org.\nmx9.example.org. A 10.0.0.9\n"
FOREIGN_MX = "example.org. MX 20 mx9.example.org.\nmx9.example.org. A 9.9.9.9\n"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A folder of modules that makes publicsuffixlist one that is not installed."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "publicsuffixlist.py").write_text("raise ModuleNotFoundError('publicsuffixlist')")
    return folder


def test_records_that_need_no_public_suffix_need_no_list_of_them(folder: Path, modules: Path) -> None:
    assert run(folder, "records", modules=modules).stdout == run(folder, "records").stdout != ""


def test_a_missing_module_comes_with_the_pip_that_installs_it(folder: Path, modules: Path) -> None:
    done = run(folder, "records", "--format", "octodns", modules=modules)
    assert done.returncode == ExitCode.UNFIT
    assert "publicsuffixlist is not installed" in done.stderr
    assert f"{sys.prefix}/bin/pip install publicsuffixlist" in done.stderr


def test_a_good_zone_is_fine(folder: Path, machine: Machine) -> None:
    with world(machine) as asking:
        done = run(folder, "check", *asking)
    assert done.returncode == ExitCode.OK
    assert done.stdout == "3 domains and servers: 0 failed, 0 warnings, 0 unknown\n"


def test_a_failure_says_what_why_and_what_to_publish(folder: Path, machine: Machine) -> None:
    with world(machine, BAD_MX) as asking:
        done = run(folder, "check", *asking)
    assert done.returncode == ExitCode.FAILED
    assert "fail    example.org  mx-private\n        the MX mx9.example.org has the address 10.0.0.9" in done.stdout
    assert "why: mail may go to a server that is not in the spec" in done.stdout
    assert "          example.org. 3600 IN MX 10 mx1.example.org." in done.stdout
    assert done.stdout.endswith("3 domains and servers: 1 failed, 1 warning, 0 unknown\n")


def test_warnings_alone_are_no_failure(folder: Path, machine: Machine) -> None:
    with world(machine, FOREIGN_MX) as asking:
        done = run(folder, "check", *asking, "--json")
    data = json.loads(done.stdout)
    assert done.returncode == ExitCode.OK
    assert data["totals"] == {"fail": 0, "warn": 1, "unknown": 0}
    assert [(each["check"], each["name"]) for each in data["verdicts"]] == [("mx-foreign", "mx9.example.org")]
    assert data["checked"] == ["example.org", "parked.example", "mx1.example.org"]


@pytest.mark.parametrize(
    ("change", "faults", "start", "status"),
    [
        ("", {}, "DNS OK - 3 domains and servers", 0),
        (FOREIGN_MX, {}, "DNS WARNING - example.org mx-foreign |", 1),
        (BAD_MX, {}, "DNS CRITICAL - example.org mx-private, example.org mx-foreign |", 2),
        ("", {"example.org MX": "refused"}, "DNS UNKNOWN - example.org refused |", 3),
    ],
)
def test_monitoring_gets_one_line_and_its_own_exit_codes(
    change: str, faults: dict[str, str], start: str, status: int, folder: Path, machine: Machine
) -> None:
    with world(machine, change, faults) as asking:
        done = run(folder, "check", *asking, "--nagios")
    assert done.returncode == status
    assert done.stdout.startswith(start)
    assert done.stdout.count("\n") == 1
    assert "| fail=" in done.stdout


def test_only_changes_are_printed(folder: Path, machine: Machine) -> None:
    with world(machine, FOREIGN_MX) as asking:
        first = run(folder, "check", *asking, "--changes-only")
        second = run(folder, "check", *asking, "--changes-only")
    assert "warn    example.org  mx-foreign" in first.stdout
    assert second.stdout == ""
    with world(machine) as asking:
        third = run(folder, "check", *asking, "--changes-only")
        fourth = run(folder, "check", *asking, "--changes-only")
    assert third.stdout.startswith("gone    example.org  mx-foreign\n")
    assert fourth.stdout == ""


def test_a_failure_that_stays_is_silent_and_still_a_failure(folder: Path, machine: Machine) -> None:
    with world(machine, BAD_MX) as asking:
        run(folder, "check", *asking, "--changes-only")
        done = run(folder, "check", *asking, "--changes-only")
    assert (done.stdout, done.returncode) == ("", ExitCode.FAILED)


def test_what_nobody_can_tell_is_not_gone(folder: Path, machine: Machine) -> None:
    with world(machine, BAD_MX) as asking:
        run(folder, "check", *asking, "--changes-only")
    with world(machine, faults={"*": "refused"}) as asking:
        unknown = run(folder, "check", *asking, "--changes-only")
    with world(machine, BAD_MX) as asking:
        again = run(folder, "check", *asking, "--changes-only")
    assert "gone" not in unknown.stdout
    assert "unknown example.org  refused" in unknown.stdout
    assert "mx-private" not in again.stdout
    assert "gone    example.org  refused" in again.stdout


def test_a_state_file_that_is_torn_makes_everything_new(folder: Path, machine: Machine) -> None:
    with world(machine, FOREIGN_MX) as asking:
        run(folder, "check", *asking, "--changes-only")
        (folder / "root/var/lib/mailctl/dns-check.json").write_text('{"version": 1, "verd')
        done = run(folder, "check", *asking, "--changes-only")
    assert "mx-foreign" in done.stdout


def test_what_strangers_publish_reaches_the_terminal_as_escapes(folder: Path, machine: Machine) -> None:
    with world(machine, r'_mta-sts.example.org. TXT "v=STSv1; id=\027]0;owned\007\n"') as asking:
        done = run(folder, "check", *asking)
    assert "mta-sts-invalid" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_silent_resolver_is_unknown_in_time(folder: Path, machine: Machine) -> None:
    with world(machine, faults={"*": "silent"}) as (option, server, *_):
        started = time.monotonic()
        done = run(folder, "check", option, server, "--timeout", "4")
        took = time.monotonic() - started
    assert done.returncode == ExitCode.OK
    assert "3 domains and servers: 0 failed, 0 warnings, 3 unknown" in done.stdout
    assert took < LIMIT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "--nameserver", "ns1.example.org"), "'ns1.example.org' is not an IP address"),
        (("check", "--nameserver", "127.0.0.1@0"), "'0' is not a port"),
        (("check", "--timeout", "0"), "0.0 is not in the range"),
        (("records", "exmaple.org"), "did you mean 'example.org'?"),
        (("records", "no_name.example.org"), "is not a domain name"),
        (("records", "--format", "bind"), "'bind' is not one of"),
    ],
)
def test_mistakes_are_usage_errors(arguments: tuple[str, ...], message: str, folder: Path) -> None:
    done = run(folder, *arguments)
    assert done.returncode == ExitCode.USAGE
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("format_", ["table", "zone", "octodns", "json"])
def test_every_format_holds_the_key_on_disk(format_: str, folder: Path, machine: Machine) -> None:
    done = run(folder, "records", "--format", format_, "example.org")
    assert done.returncode == ExitCode.OK
    key = machine.marks["KEY"].split('"')[1][4:100]
    assert key in done.stdout
    assert "parked.example" not in done.stdout


def test_records_of_one_server(folder: Path) -> None:
    done = run(folder, "records", "--json", "mx1.example.org")
    types = {record["type"] for record in json.loads(done.stdout)["records"]}
    assert types == {"A", "AAAA", "PTR", "TXT", "TLSA"}
