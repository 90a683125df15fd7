"""What the live services are asked follows from the files they shall serve, whoever wrote those."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

import pytest

from mailctl.components import dovecot, opendkim
from mailctl.components.dovecot import live as dovecot_live
from mailctl.components.opendkim import live as opendkim_live
from mailctl.components.postfix.dialogue import server_faults
from mailctl.errors import Problem
from mailctl.host import Completed
from mailctl.target import DEBIAN_12
from mailctl.tree import RenderedFile, Tree
from tests.memory_host import MemoryHost

OURS = "myhostname = mx1.example.org\nvirtual_mailbox_domains =\n    example.net\n    example.org\n"
DEBIANS = "myhostname = $mydomain\nvirtual_mailbox_domains = hash:/etc/postfix/domains\n"


class Answering(MemoryHost):
    """A host whose port 25 answers everybody well, and notes what it was told."""

    told: list[str]

    def outside_address(self) -> str | None:
        return None

    def dialogue(self, address: str, port: int, commands: Sequence[str], timeout: float = 5) -> list[str]:
        self.told = list(commands)
        return ["250 fine"] * (len(commands) + 1)


@pytest.mark.parametrize(
    ("main_cf", "name", "recipient"),
    [
        (OURS, "mx1.example.org", "postmaster@example.net"),
        ("myhostname = mx2.example.org\nrelay_domains = example.net\n", "mx2.example.org", "postmaster@example.net"),
        ("myhostname = mx3.example.org\n", "mx3.example.org", "postmaster@mx3.example.org"),
        (DEBIANS, "localhost", "postmaster@localhost"),
    ],
)
def test_postfix_is_asked_for_a_recipient_of_its_own(main_cf: str, name: str, recipient: str) -> None:
    host = Answering()
    assert server_faults(host, main_cf) == []
    assert host.told[0] == f"EHLO {name}"
    assert host.told[2] == f"RCPT TO:<{recipient}>"


def tree_of(path: str, content: str) -> Tree:
    return Tree.of([RenderedFile(PurePosixPath(path), content.encode())])


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> MemoryHost:
    """One on which the daemons run and have made no socket; nothing is waited for."""
    host = MemoryHost()
    for daemon in (dovecot_live.DAEMON, opendkim_live.DAEMON):
        host.put(str(daemon.pid_file), "7\n")
    monkeypatch.setattr(dovecot_live, "lasting_problems", list_now)
    monkeypatch.setattr(opendkim_live, "lasting_problems", list_now)
    return host


def list_now(find: Callable[[], Iterable[Problem]]) -> list[Problem]:
    return list(find())


@pytest.mark.parametrize(("line", "is_missed"), [("Socket", True), ("#Socket", False)])
def test_a_socket_is_missed_where_opendkim_conf_asks_for_it(host: MemoryHost, line: str, is_missed: bool) -> None:
    host.put("/proc/7/comm", "opendkim\n")
    tree = tree_of("/etc/opendkim.conf", f"{line} local:{DEBIAN_12.opendkim_socket}\n")
    assert bool(opendkim.verify(host, tree, DEBIAN_12)) is is_missed


@pytest.mark.parametrize(("line", "is_missed"), [("  unix_listener", True), ("  #unix_listener", False)])
def test_a_socket_is_missed_where_dovecot_conf_asks_for_it(host: MemoryHost, line: str, is_missed: bool) -> None:
    host.put("/proc/7/comm", "dovecot\n")
    tree = tree_of("/etc/dovecot/dovecot.conf", f"service auth {{\n{line} {DEBIAN_12.auth_socket} {{\n")
    assert bool(dovecot.verify(host, tree, DEBIAN_12)) is is_missed


@pytest.mark.parametrize("name", ["mailctl.users", "mailctl.smtp-users"])
def test_dovecot_must_know_a_login_of_its_list(host: MemoryHost, name: str) -> None:
    host.put("/proc/7/comm", "dovecot\n")
    host.programs["doveadm"] = lambda argv, stdin: Completed(argv, 67, b"", b"unknown user")
    tree = tree_of(f"/etc/dovecot/{name}", "ali@example.org:{SHA512-CRYPT}x::::::\n")
    assert [each.message for each in dovecot.verify(host, tree, DEBIAN_12)] == [
        "it does not know the login ali@example.org: unknown user"
    ]
