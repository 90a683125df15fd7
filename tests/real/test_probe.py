"""The probe against servers as rendered: everything holds, in time, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mailctl.errors import UnfitError
from mailctl.host import LocalHost
from mailctl.probe import Report, Verdict, outside, probe_remote, select_checks, suite
from mailctl.probe.arena import Arena, Family, Vantage
from mailctl.probe.runner import run_checks
from mailctl.probe.subject import choose_subject
from mailctl.sandbox import Sandbox, Settings
from mailctl.sandbox.launch import python_module
from mailctl.sandbox.network import SERVER_IPV4
from tests.real.probe_lab import PASSWORD, ProbeLab, started_lab

pytestmark = pytest.mark.real

LONGEST_RUN = 25.0  # seconds on a machine that does other things; docs/probe.md has the figure of an idle one
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


def test_the_whole_suite_holds_in_time_and_leaves_the_server_as_it_was(lab: ProbeLab) -> None:
    before = {path: lab.sandbox.path(path).read_bytes() for path in TOUCHED}
    mounts = lab.run("cat", "/proc/self/mounts")
    report = lab.probe()
    assert faults(report) == []
    assert report.seconds < LONGEST_RUN
    assert {path: lab.sandbox.path(path).read_bytes() for path in TOUCHED} == before
    assert lab.run("cat", "/proc/self/mounts") == mounts


def test_the_fast_checks_are_fast(lab: ProbeLab) -> None:
    report = lab.probe(fast=True)
    assert faults(report) == []
    assert {each.name.partition(".")[0] for each in report.results} >= {
        "relay",
        "auth",
        "identity",
        "signing",
        "delivery",
    }
    assert report.seconds < LONGEST_RUN / 2


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
    main_cf = lab.sandbox.path("/etc/postfix/main.cf")
    before = main_cf.read_text()
    try:
        lab.run("postconf", "-e", "mynetworks = 0.0.0.0/0, [::]/0")
        lab.run("postfix", "reload")
        time.sleep(2)
        done = mailctl(lab, f"--lab={lab.name}", "probe", "--only", "relay.stranger")
    finally:
        main_cf.write_text(before)
        lab.run("postfix", "reload")
        time.sleep(2)
    assert done.returncode == 1
    assert "FAIL  relay.stranger" in done.stdout
    assert "-> RCPT TO:<probe@example.com>\n" in done.stdout
    assert "remedy: look at smtpd_relay_restrictions" in done.stdout


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


class FakeServer:
    """Listens on the mail ports of an empty sandbox and says what it is told to, whatever it hears."""

    def __init__(self, sandbox: Sandbox, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._listeners = [
            sandbox.call_inside(partial(socket.create_server, ("", port), backlog=512)) for port in (25, 465, 587, 993)
        ]
        self._taken: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, args=(each,)) for each in self._listeners]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exception: object) -> None:
        for each in self._listeners:
            each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in [*self._listeners, *self._taken]:
            each.close()

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._taken.append(connection)
                self._talk(connection)


def say_nothing(connection: socket.socket) -> None:
    """A tarpit."""


def only_greet(connection: socket.socket) -> None:
    connection.sendall(b"220 tarpit ESMTP\r\n")


def keep_what_came_in_clear(connection: socket.socket) -> None:
    """Answers each line of the clear text at once, those behind STARTTLS too, and never starts TLS."""
    connection.sendall(b"220 leaky ESMTP\r\n")
    with contextlib.suppress(OSError):
        connection.recv(1000)
        connection.sendall(b"250-leaky\r\n250 STARTTLS\r\n")
        connection.recv(1000)
        connection.sendall(b"220 go ahead\r\n250 reset\r\n")


@pytest.fixture
def empty(require_root: None, tmp_path: Path) -> Iterator[Sandbox]:
    (tmp_path / "box").mkdir()
    with Sandbox.start(LocalHost(), tmp_path / "box", Settings("mx1.example.org")) as started:
        yield started


def arena_of(limit: float) -> Arena:
    world = {**suite.SANDBOX_WORLD, "hostname": "mx1.example.org"}
    vantage = Vantage({Family.IPV4: SERVER_IPV4}, patience=5.0, limit=limit)
    return Arena(vantage, choose_subject(None, {}, world), deadline=time.monotonic() + limit)


def test_a_server_that_says_nothing_is_a_failure_soon(empty: Sandbox) -> None:
    started = time.monotonic()
    with FakeServer(empty, say_nothing):
        report = empty.call_outside(lambda: run_checks(select_checks(), arena_of(30), lambda result: None))
    assert time.monotonic() - started < 10
    assert report.result("reach.ports").verdict is Verdict.FAIL
    assert {each.note for each in report.results[0].decisive} == {"no answer in time", "no TLS: no answer in time"}


def test_a_server_that_hangs_later_does_not_hold_the_probe(empty: Sandbox) -> None:
    """Hundreds of dialogues that would wait for 5 seconds each end with the run."""
    started = time.monotonic()
    with FakeServer(empty, only_greet):
        report = empty.call_outside(lambda: run_checks(select_checks(), arena_of(3), lambda result: None))
    assert time.monotonic() - started < 6
    assert not report.is_safe
    assert report.result("relay.stranger").verdict is Verdict.FAIL


def test_a_server_that_answers_more_than_it_was_asked_is_no_proof(empty: Sandbox) -> None:
    with FakeServer(empty, keep_what_came_in_clear):
        report = empty.call_outside(
            lambda: run_checks(select_checks(["tls.injection"]), arena_of(5), lambda each: None)
        )
    assert report.result("tls.injection").verdict is Verdict.FAIL


def test_addresses_of_the_outside_that_are_in_use_are_refused(empty: Sandbox) -> None:
    host = LocalHost()

    def use_them() -> None:
        host.run(["ip", "link", "set", "lo", "up"])
        host.run(["ip", "route", "add", "198.19.128.0/17", "dev", "lo"])
        with outside.outside_of(host):
            pass

    with pytest.raises(UnfitError, match=r"198\.19\.0\.0/16"):
        empty.call_inside(use_them)
