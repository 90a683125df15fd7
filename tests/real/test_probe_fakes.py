"""The probe against servers that hang, and against faults that no configuration gives Postfix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mailctl.host import LocalHost
from mailctl.probe import Report, Verdict, select_checks, suite
from mailctl.probe.arena import Arena, Family, Vantage
from mailctl.probe.runner import run_checks
from mailctl.probe.subject import choose_subject
from mailctl.sandbox import Sandbox, Settings
from mailctl.sandbox.network import SERVER_IPV4
from tests.real.fake_servers import FAULTS, FakeServer, Talk, drip, only_greet, say_nothing

pytestmark = pytest.mark.real

PATIENCE, LIMIT = 3.0, 5.0  # seconds
# One answer after the other, the dialogues would wait for minutes; a busy machine takes some seconds of its own.
SOON = 40.0
REASONS = {
    "relay.full-width": "was answered '250 2.0.0 Ok'",
    "enumeration.expn": "EXPN postmaster was answered '250 2.1.5 Ali <ali@example.org>",
    "tls.injection": "a command sent in clear was obeyed under TLS",
    "tls.compression": "the server compresses",
    "tls.early-data": "a ticket allows 16384 bytes of early data",
}


@pytest.fixture(scope="module")
def empty(
    require_root: None, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    require_tools("openssl")
    with Sandbox.start(LocalHost(), tmp_path_factory.mktemp("box"), Settings("mx1.example.org")) as started:
        yield started


@pytest.fixture(scope="module")
def certificate(empty: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    file.write_bytes(b"".join(empty.issue_certificate(["mx1.example.org"])))
    return file


def probe(sandbox: Sandbox, talk: Talk, *only: str, limit: float = LIMIT) -> Report:
    """What the checks say of a server that does nothing but `talk`."""
    world = {**suite.SANDBOX_WORLD, "hostname": "mx1.example.org"}
    vantage = Vantage({Family.IPV4: SERVER_IPV4}, patience=PATIENCE, limit=limit)
    arena = Arena(vantage, choose_subject(None, {}, world), deadline=time.monotonic() + limit)
    with FakeServer(sandbox, talk):
        return sandbox.call_outside(lambda: run_checks(select_checks(only), arena, lambda result: None))


def test_a_server_that_says_nothing_is_a_failure_soon(empty: Sandbox) -> None:
    report = probe(empty, say_nothing)
    assert report.seconds < SOON
    assert report.result("reach.ports").verdict is Verdict.FAIL
    assert {each.note for each in report.results[0].decisive} == {"no answer in time", "no TLS: no answer in time"}


def test_a_greeting_that_never_ends_is_a_failure_soon(empty: Sandbox) -> None:
    report = probe(empty, drip)
    assert report.seconds < SOON
    assert report.result("reach.ports").verdict is Verdict.FAIL


def test_a_server_that_hangs_later_does_not_hold_the_probe(empty: Sandbox) -> None:
    report = probe(empty, only_greet)
    assert report.seconds < SOON
    assert report.result("relay.stranger").verdict is Verdict.FAIL


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_postfix_cannot_have_is_found(empty: Sandbox, certificate: Path, name: str) -> None:
    result = probe(empty, partial(FAULTS[name], certificate), name, limit=SOON).result(name)
    assert result.verdict is Verdict.FAIL
    assert REASONS[name] in result.decisive[0].note
