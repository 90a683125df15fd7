"""A login that came with an apply which is undone goes, and so do its open sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from mailctl.apply import recover
from mailctl.errors import MailctlError
from mailctl.host import Completed
from mailctl.target import DEBIAN_12
from tests.memory_host import PowerCut
from tests.unit.apply import service
from tests.unit.apply.conftest import OTHER_SPEC, SPEC, Server

MINUTE = 60.0


def fail_to_serve(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.host.programs["probe"] = lambda argv, stdin: Completed(argv, 1, b"", b"no answer")
    with pytest.raises(MailctlError, match="does not serve"):
        server.apply(OTHER_SPEC)


def let_the_deadline_pass(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    expire(monkeypatch)
    recover.recover(server.host, DEBIAN_12, server.said.append)


def confirm_too_late(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    expire(monkeypatch)
    with pytest.raises(MailctlError, match="the time to confirm is over"):
        recover.confirm(server.host, DEBIAN_12, server.said.append)


def give_it_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    recover.recover(server.host, DEBIAN_12, server.said.append, give_up=True)


def recover_from_a_power_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(argv: tuple[str, ...], stdin: bytes) -> Completed:
        raise PowerCut

    server.host.programs["probe"] = cut
    with suppress(PowerCut):
        server.apply(OTHER_SPEC)
    recover.recover(server.host, DEBIAN_12, server.said.append)


def expire(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2 * MINUTE)


@pytest.fixture
def kicked(server: Server) -> list[tuple[str, bool]]:
    """Whose sessions are ended, and whether the login list did not hold them any more."""
    server.apply(SPEC)
    found: list[tuple[str, bool]] = []

    def kick(argv: tuple[str, ...], stdin: bytes) -> Completed:
        users = server.host.nodes[service.USERS].content or b""
        found.append((argv[-1], argv[-1].encode() not in users))
        return Completed(argv, 0, b"", b"")

    server.host.programs["doveadm"] = kick
    return found


@pytest.mark.parametrize(
    "undo", [fail_to_serve, let_the_deadline_pass, confirm_too_late, give_it_up, recover_from_a_power_cut]
)
def test_its_sessions_end_however_it_is_undone_and_those_of_a_login_that_returns_stay(
    server: Server,
    kicked: list[tuple[str, bool]],
    undo: Callable[[Server, pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = server.etc()
    undo(server, monkeypatch)
    assert server.etc() == before
    assert ("carol@example.org", True) in kicked
    # Bob's sessions ended where he was removed for a while; his login is back.
    assert "bob@example.org" not in [name for name, _ in kicked[kicked.index(("carol@example.org", True)) :]]


def test_at_boot_no_session_is_left_to_end(server: Server, kicked: list[tuple[str, bool]]) -> None:
    server.apply(OTHER_SPEC, confirm_within=MINUTE)
    kicked.clear()
    recover.recover(server.host, DEBIAN_12, server.said.append, give_up=True, services=False)
    assert kicked == []


def test_going_back_does_not_fail_where_sessions_cannot_be_ended(
    server: Server, kicked: list[tuple[str, bool]]
) -> None:
    before = server.etc()
    server.apply(OTHER_SPEC, confirm_within=MINUTE)

    def refuse(argv: tuple[str, ...], stdin: bytes) -> Completed:
        raise MailctlError("doveadm is not installed")

    server.host.programs["doveadm"] = refuse
    recover.recover(server.host, DEBIAN_12, server.said.append, give_up=True)
    assert server.etc() == before
    warning = "warning: sessions of carol@example.org may still be open: doveadm is not installed"
    assert warning in server.said
