"""What becomes of an apply that waits for its confirmation."""

from __future__ import annotations

import time
from pathlib import PurePosixPath

import pytest

from mailctl.apply import guard, recover
from mailctl.errors import BusyError, MailctlError
from mailctl.plan.stored import read_current
from mailctl.target import DEBIAN_12
from tests.memory_host import PowerCut
from tests.unit.apply import service
from tests.unit.apply.conftest import OTHER_SPEC, SPEC, Server

SOFT = b"soft_bounce = yes"
MINUTE = 60.0


@pytest.fixture
def waiting(server: Server) -> Server:
    """A server with one confirmed generation and one that waits for a minute."""
    server.apply(SPEC)
    assert server.apply(OTHER_SPEC, confirm_within=MINUTE) == 2
    return server


def let_it_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2 * MINUTE)


def test_until_confirmed_postfix_refuses_nothing_for_good_and_then_it_does_again(waiting: Server) -> None:
    assert SOFT in (waiting.daemon.serves or b"")
    assert read_current(waiting.host, DEBIAN_12) == 1
    assert recover.confirm(waiting.host, DEBIAN_12, waiting.said.append) == 2
    assert waiting.daemon.serves == waiting.host.nodes[service.MAIN_CF].content
    assert SOFT not in (waiting.daemon.serves or b"")
    assert read_current(waiting.host, DEBIAN_12) == 2
    assert waiting.apply(OTHER_SPEC) is None


def test_a_change_of_logins_alone_is_soft_too(server: Server) -> None:
    server.apply(SPEC)
    server.apply(OTHER_SPEC)
    assert server.apply(SPEC, confirm_within=MINUTE) == 3
    assert SOFT in (server.daemon.serves or b"")


def test_nothing_else_is_written_while_it_waits(waiting: Server) -> None:
    before = waiting.etc()
    with pytest.raises(BusyError, match="generation 2 waits for a confirmation"):
        waiting.apply(SPEC)
    assert waiting.etc() == before


def test_too_late_it_is_undone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.apply(SPEC)
    before = server.etc()
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    let_it_expire(monkeypatch)
    with pytest.raises(MailctlError, match="the time to confirm is over"):
        recover.confirm(server.host, DEBIAN_12, server.said.append)
    assert server.etc() == before
    assert server.daemon.serves == before[str(service.MAIN_CF)][0]


def test_the_guard_undoes_what_it_was_armed_for_and_nothing_else(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.apply(SPEC)
    before = server.etc()
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    pending = server.etc()
    deadline = next(float(line.rsplit(" ", 1)[1]) for line in server.host.log if "recover --at " in line)
    let_it_expire(monkeypatch)
    guard.keep_watch(server.host, DEBIAN_12, deadline - 1, server.said.append)
    assert server.etc() == pending
    guard.keep_watch(server.host, DEBIAN_12, deadline, server.said.append)
    assert server.etc() == before


def test_the_guard_is_armed_before_the_first_file_is_replaced(waiting: Server) -> None:
    armed = next(n for n, line in enumerate(waiting.host.log) if "recover --at " in line)
    replaced = [n for n, line in enumerate(waiting.host.log) if line.startswith("rename /etc") and n > armed]
    assert any(line.endswith("main.cf") for line in (waiting.host.log[n] for n in replaced))
    assert not [line for line in waiting.host.log[replaced[-1] :] if "recover --at " in line]


def test_without_a_guard_nothing_is_changed(server: Server) -> None:
    server.apply(SPEC)
    before = server.etc()
    server.host.missing_programs.add("setsid")

    def refuse(argv: tuple[str, ...], stdin: bytes) -> object:
        raise MailctlError("not installed")

    server.host.programs["setsid"] = refuse  # type: ignore[assignment]
    with pytest.raises(MailctlError):
        server.apply(OTHER_SPEC, confirm_within=MINUTE)
    assert server.etc() == before


def test_power_lost_at_any_moment_of_a_confirmation_leaves_all_old_or_all_new(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.apply(SPEC)
    old = server.etc()
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    nodes = dict(server.host.nodes)
    server.host.effects = 0
    recover.confirm(server.host, DEBIAN_12, server.said.append)
    new, effects = server.etc(), server.host.effects
    outcomes = set()
    for number in range(1, effects + 1):
        server.host.nodes = dict(nodes)
        server.host.break_at(number, PowerCut())
        with pytest.raises(PowerCut):
            recover.confirm(server.host, DEBIAN_12, server.said.append)
        server.host.repair()
        with monkeypatch.context() as later:
            let_it_expire(later)
            recover.recover(server.host, DEBIAN_12, server.said.append)
        assert server.etc() in (old, new), number
        assert server.daemon.serves in (None, server.etc()[str(service.MAIN_CF)][0])
        outcomes.add(server.etc() == new)
    assert outcomes == {False, True}


def test_at_boot_an_unconfirmed_apply_is_undone_and_no_service_is_touched(server: Server) -> None:
    server.apply(SPEC)
    before = server.etc()
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    reloads = server.daemon.reloads
    assert recover.recover(server.host, DEBIAN_12, server.said.append, give_up=True, services=False)
    assert server.etc() == before
    assert server.daemon.reloads == reloads


def test_where_systemd_runs_it_keeps_the_time_and_recovers_at_boot(server: Server) -> None:
    server.host.put("/run/systemd/system/x", "")
    server.host.put("/etc/systemd/system/dbus.service", "")
    server.apply(SPEC, confirm_within=MINUTE)
    timer = next(line for line in server.host.log if line.startswith("run systemd-run"))
    assert "--on-active=5" in timer or "--on-active=60" in timer
    unit = server.host.nodes[PurePosixPath("/etc/systemd/system/mailctl-recover.service")].content or b""
    assert b"Before=opendkim.service dovecot.service postfix.service postfix@-.service" in unit
    assert "run systemctl enable --quiet mailctl-recover.service" in server.host.log
