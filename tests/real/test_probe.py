"""The probe against servers as rendered: everything holds, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from mailctl.errors import UnfitError
from mailctl.host import LocalHost
from mailctl.probe import Report, Verdict, outside, probe_remote, select_checks, suite
from mailctl.sandbox.launch import python_module
from mailctl.sandbox.network import SERVER_IPV4
from tests.real.probe_lab import OPEN_RELAY, PASSWORD, ProbeLab, started_lab

pytestmark = pytest.mark.real

TOUCHED = ("/etc/dovecot/mailctl.users", "/etc/dovecot/mailctl.smtp-users", "/etc/postfix/main.cf")


@pytest.fixture(scope="module")
def lab(
    require_root: None, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProbeLab]:
    require_tools("postfix", "dovecot", "opendkim", "openssl")
    with started_lab("probe-whole", tmp_path_factory.mktemp("spec")) as started:
        yield started


def mailctl(lab: ProbeLab, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = python_module("mailctl", *arguments, "-f", str(lab.spec_file))
    return subprocess.run(command, capture_output=True, text=True, check=False)


def faults(report: Report) -> list[tuple[str, str]]:
    """What does not hold, and why."""
    return [(each.name, each.decisive[0].note) for each in report.results if each.verdict is not Verdict.OK]


def test_the_whole_suite_holds_and_leaves_the_server_as_it_was(lab: ProbeLab) -> None:
    before = {path: lab.sandbox.path(path).read_bytes() for path in TOUCHED}
    mounts = lab.run("cat", "/proc/self/mounts")
    report = lab.probe()
    assert faults(report) == []
    assert {path: lab.sandbox.path(path).read_bytes() for path in TOUCHED} == before
    assert lab.run("cat", "/proc/self/mounts") == mounts


def test_the_fast_checks_hold(lab: ProbeLab) -> None:
    report = lab.probe(fast=True)
    assert faults(report) == []
    assert {each.name.partition(".")[0] for each in report.results} >= {
        "relay",
        "auth",
        "identity",
        "signing",
        "delivery",
    }


def test_a_probe_from_inside_makes_an_outside_of_its_own(lab: ProbeLab) -> None:
    """As on a real host: a namespace and a pair, in the server's network, gone afterwards."""
    links = lab.run("ip", "-o", "link")
    routes = lab.run("ip", "route")
    done = mailctl(lab, f"--lab={lab.name}", "probe", "--json", "--only", "relay,auth")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["format_version"] == "1"
    assert report["totals"]["FAIL"] == 0
    attempts = [each for check in report["checks"] for each in check["attempts"] if check["name"] == "relay.stranger"]
    assert {each["where"] for each in attempts} >= {"25 IPv4", "25 IPv6", "587+tls IPv4", "465 IPv6"}
    assert lab.run("ip", "-o", "link") == links
    assert lab.run("ip", "route") == routes


def test_an_open_relay_is_found_from_inside(lab: ProbeLab) -> None:
    """Its dialogue and the remedy stand below the failure; exit code 1."""
    with OPEN_RELAY.applied(lab):
        done = mailctl(lab, f"--lab={lab.name}", "probe", "--only", "relay.stranger")
        status = mailctl(lab, "lab", "status", "--name", lab.name)
    assert done.returncode == 1
    assert "FAIL  relay.stranger" in done.stdout
    assert "-> RCPT TO:<probe@example.com>\n" in done.stdout
    assert "remedy: look at smtpd_relay_restrictions" in done.stdout
    assert status.returncode == 1
    assert "FAIL  relay.stranger" in status.stdout


def test_the_status_of_a_lab_holds_a_short_probe_that_sends_nothing(lab: ProbeLab) -> None:
    """By the spec the lab began with, where none is given."""
    before = len(lab.sandbox.messages())
    command = python_module("mailctl", "lab", "status", "--name", lab.name, "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    probe = json.loads(done.stdout)["probe"]
    assert probe["is_safe"] is True
    assert probe["totals"]["ok"] > 40
    assert probe["totals"]["skip"] == 0
    assert len(lab.sandbox.messages()) == before


def test_the_status_of_a_lab_whose_postfix_is_down_says_so(lab: ProbeLab) -> None:
    lab.run("postfix", "stop")
    try:
        done = mailctl(lab, "lab", "status", "--name", lab.name)
    finally:
        lab.run("postfix", "start")
    assert done.returncode == 0
    assert "probe: not made, Postfix is down" in done.stdout


def test_a_login_given_by_hand_proves_identity(lab: ProbeLab) -> None:
    file = lab.spec_file.with_name("password")
    file.write_text(PASSWORD)
    done = mailctl(
        lab,
        f"--lab={lab.name}",
        "probe",
        "--only",
        "identity",
        "--login",
        "ali@example.org",
        "--password-file",
        str(file),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    identity.neighbour " in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_another_machine_needs_no_spec(lab: ProbeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that need people of the spec are skipped, and say so; connections keep their distance."""
    monkeypatch.setattr(suite, "REMOTE_PACE", 0.05)
    checks = select_checks(["relay.stranger", "relay.our-address", "auth.not-offered-25", "tls.injection"])
    report = lab.sandbox.call_outside(lambda: probe_remote(SERVER_IPV4, None, checks))
    verdicts = {each.name: each.verdict for each in report.results}
    assert verdicts["relay.our-address"] is Verdict.SKIP
    assert verdicts["relay.stranger"] is verdicts["auth.not-offered-25"] is verdicts["tls.injection"] is Verdict.OK


def test_addresses_of_the_outside_that_are_in_use_are_refused(lab: ProbeLab) -> None:
    host = LocalHost()

    def use_them() -> None:
        host.run(["ip", "route", "add", "198.19.128.0/17", "dev", "lo"])
        try:
            with outside.outside_of(host):
                pass
        finally:
            host.run(["ip", "route", "delete", "198.19.128.0/17", "dev", "lo"])

    with pytest.raises(UnfitError, match=r"198\.19\.0\.0/16"):
        lab.sandbox.call_inside(use_them)
