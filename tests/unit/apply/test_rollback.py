"""A generation that is put back is looked at like a new one, without its spec."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailctl.errors import MailctlError, Origin, Problem, Severity
from mailctl.host import Completed
from mailctl.plan.stored import read_current
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, MAIL_LOG, Target
from mailctl.tree import Tree
from tests.memory_host import MemoryHost
from tests.unit.apply import service
from tests.unit.apply.conftest import OTHER_SPEC, SPEC, Server

RELAYS = Problem(Origin("live server"), "relay.stranger", "250 2.1.5 Ok (25)")
FATAL = "Nov 28 17:00:00 mx1 postfix/smtpd[7]: fatal: no SASL authentication mechanisms\n"


@pytest.fixture
def grown(server: Server) -> Server:
    """A server on which generation 2 serves."""
    server.apply(SPEC)
    server.apply(OTHER_SPEC)
    return server


def service_is_down(host: MemoryHost) -> None:
    host.programs["probe"] = lambda argv, stdin: Completed(argv, 1, b"", b"no answer")


def log_says_fatal(host: MemoryHost) -> None:
    host.put(str(MAIL_LOG), "")
    host.programs["tail"] = lambda argv, stdin: Completed(argv, 0, FATAL.encode(), b"")


def strangers_may_relay(target: Target, tree: Tree, spec: Spec | None) -> list[Problem]:
    return [RELAYS]


@pytest.mark.parametrize(
    ("fault", "said"),
    [(service_is_down, "no answer"), (log_says_fatal, "postfix/smtpd: fatal: no SASL authentication mechanisms")],
)
def test_one_that_does_not_serve_gives_way_to_the_one_that_did(
    grown: Server, fault: Callable[[MemoryHost], None], said: str
) -> None:
    before = grown.etc()
    fault(grown.host)
    with pytest.raises(MailctlError, match="generation 1 does not serve") as failure:
        grown.rollback(1)
    assert [problem.message for problem in failure.value.problems] == [said]
    assert grown.etc() == before
    assert grown.daemon.serves == before[str(service.MAIN_CF)][0]
    assert grown.said[-1] == "the old configuration is back and serves"
    assert read_current(grown.host, DEBIAN_12) == 2


def test_strangers_ask_it_by_its_files_and_no_spec(grown: Server) -> None:
    before, asked = grown.etc(), []

    def probe(target: Target, tree: Tree, spec: Spec | None) -> list[Problem]:
        live = grown.host.nodes[service.MAIN_CF].content
        asked.append((tree.files[service.MAIN_CF].content == live == grown.daemon.serves, spec))
        return [RELAYS]

    with pytest.raises(MailctlError, match="generation 1 does not serve") as failure:
        grown.rollback(1, probe=probe)
    assert list(failure.value.problems) == [RELAYS]
    assert asked == [(True, None)]
    assert grown.etc() == before
    assert read_current(grown.host, DEBIAN_12) == 2


def test_what_is_worth_a_warning_stops_no_rollback(grown: Server) -> None:
    note = Problem(Origin("live server"), "", "it gave strangers no answer to judge", severity=Severity.WARNING)
    grown.rollback(1, probe=lambda target, tree, spec: [note])
    assert read_current(grown.host, DEBIAN_12) == 1
    assert str(note) in grown.said


@pytest.mark.parametrize("fault", [service_is_down, log_says_fatal])
def test_generation_0_serves_whatever_is_wrong_with_it_and_that_is_said(
    server: Server, fault: Callable[[MemoryHost], None]
) -> None:
    before = server.etc()
    server.apply(SPEC)
    fault(server.host)
    server.rollback(0, probe=strangers_may_relay)
    assert server.etc() == before
    assert read_current(server.host, DEBIAN_12) == 0
    warnings = [line for line in server.said if "warning: " in line]
    assert "generation 0 serves all the same" in warnings[-1]
    assert any("warning: relay.stranger: 250 2.1.5 Ok" in line for line in warnings)
    assert len(warnings) == 3


def test_nothing_is_said_of_a_generation_0_that_is_well(server: Server) -> None:
    server.apply(SPEC)
    server.rollback(0, probe=lambda target, tree, spec: [])
    assert not [line for line in server.said if "warning" in line]


def test_a_service_that_does_not_come_back_with_generation_0_keeps_the_one_that_serves(server: Server) -> None:
    server.apply(SPEC)
    before, control = server.etc(), server.host.programs["postfix"]

    def refuse_once(argv: tuple[str, ...], stdin: bytes) -> Completed:
        server.host.programs["postfix"] = control
        return Completed(argv, 1, b"", b"fatal: bad main.cf")

    server.host.programs["postfix"] = refuse_once
    with pytest.raises(MailctlError, match=r"bad main\.cf"):
        server.rollback(0)
    assert server.etc() == before
    assert read_current(server.host, DEBIAN_12) == 1
