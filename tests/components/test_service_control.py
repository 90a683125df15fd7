"""What reaches a daemon where systemd runs, and whom a pid file is believed."""

from __future__ import annotations

from pathlib import PurePosixPath
from types import ModuleType

import pytest

from mailctl.components import dovecot, opendkim
from mailctl.components.base import Action, Daemon, ReloadKind
from mailctl.components.service import needless_services, running_pid
from mailctl.errors import MailctlError
from mailctl.host import Completed
from mailctl.target import DEBIAN_12
from tests.memory_host import MemoryHost

DAEMON = Daemon("Example", "example.service", "exampled", PurePosixPath("/run/exampled.pid"))


@pytest.fixture
def host() -> MemoryHost:
    host = MemoryHost()
    host.put("/run/systemd/system/marker", "")
    return host


@pytest.mark.parametrize("component", [dovecot, opendkim], ids=["dovecot", "opendkim"])
@pytest.mark.parametrize(
    ("kind", "verb"), [(ReloadKind.RELOAD, "reload-or-restart"), (ReloadKind.RESTART, "restart")], ids=str
)
def test_systemd_is_asked_where_it_runs(host: MemoryHost, component: ModuleType, kind: ReloadKind, verb: str) -> None:
    component.perform(host, DEBIAN_12, Action(component.NAME, kind))
    assert host.log == [f"run systemctl {verb} {component.NAME.lower()}.service"]


@pytest.mark.parametrize("component", [dovecot, opendkim], ids=["dovecot", "opendkim"])
def test_nothing_to_do_touches_nothing(host: MemoryHost, component: ModuleType) -> None:
    component.perform(host, DEBIAN_12, Action(component.NAME, ReloadKind.NOTHING))
    assert host.log == []


def test_a_unit_that_fails_says_why_and_where_to_look(host: MemoryHost) -> None:
    host.programs["systemctl"] = lambda argv, stdin: Completed(argv, 1, b"", b"Job for dovecot.service failed.\n")
    with pytest.raises(MailctlError, match=r"Dovecot did not restart: Job for dovecot.service failed\.$") as caught:
        dovecot.perform(host, DEBIAN_12, Action("Dovecot", ReloadKind.RESTART))
    assert "journalctl -u dovecot.service" in caught.value.hint


@pytest.mark.parametrize(
    ("pid_file", "process", "pid"),
    [
        ("42\n", "exampled\n", 42),
        ("42", "exampled\n", 42),
        ("42\n", "bash\n", None),
        ("42\n", None, None),
        ("", "exampled\n", None),
        ("-1\n", "exampled\n", None),
        ("../1\n", "exampled\n", None),
        (None, "exampled\n", None),
    ],
)
def test_a_pid_file_is_believed_only_with_its_process(
    host: MemoryHost, pid_file: str | None, process: str | None, pid: int | None
) -> None:
    if pid_file is not None:
        host.put("/run/exampled.pid", pid_file)
    if process is not None:
        host.put("/proc/42/comm", process)
    assert running_pid(host, DAEMON) == pid


@pytest.mark.parametrize(
    ("pid_file", "is_root", "is_named"), [("42", True, True), ("", True, False), ("42", False, False)]
)
def test_a_service_that_runs_unneeded_is_named_with_what_stops_it(
    host: MemoryHost, pid_file: str, is_root: bool, is_named: bool
) -> None:
    host.put("/run/exampled.pid", pid_file)
    host.put("/proc/42/comm", "exampled\n")
    host.is_ordinary_user = not is_root
    found = needless_services(host, [DAEMON])
    assert [each.hint for each in found] == ["systemctl disable --now example.service"] * is_named
