"""The probe against servers that hang, and against faults that no configuration gives Postfix."""

from __future__ import annotations

import resource
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
from tests.real.fake_servers import FAULTS, HOSTILE, FakeServer, Talk

pytestmark = pytest.mark.real

PATIENCE, LIMIT = 3.0, 5.0  # seconds
# One answer after the other, the dialogues would wait for minutes; a busy machine takes some seconds of its own.
SOON = 40.0
LONGER = 12.0  # for servers that answer, on a busy machine
MOST_MEMORY = 100_000  # kilobytes more than before
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


def probe(sandbox: Sandbox, talk: Talk, *only: str, patience: float = PATIENCE, limit: float = LIMIT) -> Report:
    """What the checks say of a server that does nothing but `talk`."""
    world = {**suite.SANDBOX_WORLD, "hostname": "mx1.example.org"}
    vantage = Vantage({Family.IPV4: SERVER_IPV4}, patience=patience, limit=limit)
    arena = Arena(vantage, choose_subject(None, {}, world), deadline=time.monotonic() + limit)
    with FakeServer(sandbox, talk):
        return sandbox.call_outside(lambda: run_checks(select_checks(only), arena, lambda result: None))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_is_a_failure_soon_and_costs_little(empty: Sandbox, name: str) -> None:
    """All checks of the probe, bounded in time and memory, and a clear word about it."""
    hostile = HOSTILE[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = probe(empty, hostile.talk)
    assert report.seconds < SOON
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY
    assert not report.is_safe
    notes = [outcome.note for outcome in report.result(hostile.check).decisive]
    assert any(hostile.says in note for note in notes), notes


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_postfix_cannot_have_is_found(empty: Sandbox, certificate: Path, name: str) -> None:
    result = probe(empty, partial(FAULTS[name], certificate), name, patience=LONGER, limit=SOON).result(name)
    assert result.verdict is Verdict.FAIL
    assert any(REASONS[name] in outcome.note for outcome in result.decisive)
