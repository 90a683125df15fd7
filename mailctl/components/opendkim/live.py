"""The running OpenDKIM: reloading it, and whether it is there to sign."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.base import Action, ReloadKind
from mailctl.components.opendkim.view import PID_FILE
from mailctl.components.service import (
    Daemon,
    has_systemd,
    run,
    running_pid,
    systemctl,
    wait_until,
    wait_until_running,
    wait_until_stopped,
)
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.spec.model import Spec
from mailctl.target import Target

DAEMON = Daemon("OpenDKIM", "opendkim.service", "opendkim", PID_FILE)


def daemon(target: Target) -> Daemon:
    return DAEMON


def perform(host: Host, target: Target, action: Action) -> None:
    """Reload OpenDKIM, or start it where it does not run.

    Raises:
        MailctlError: it refused the configuration, or did not come back.
    """
    if action.kind is ReloadKind.NOTHING:
        return
    if has_systemd(host):
        systemctl(host, "restart" if action.kind is ReloadKind.RESTART else "reload-or-restart", DAEMON)
        return
    pid = running_pid(host, DAEMON)
    if pid is not None and action.kind is ReloadKind.RELOAD:
        run(host, ["kill", "-USR1", str(pid)], "OpenDKIM did not reload")
        return
    if pid is not None:
        run(host, ["kill", str(pid)], "OpenDKIM did not stop")
        wait_until_stopped(host, DAEMON)
    _start(host, target)


def verify(host: Host, spec: Spec, target: Target) -> list[Problem]:
    """What is wrong with the live OpenDKIM, once it had ten seconds to settle."""
    if not wait_until(lambda: not any(_problems(host, target))):
        return list(_problems(host, target))
    return []


def _start(host: Host, target: Target) -> None:
    # The folder is made by tmpfiles.d(5) where systemd runs.
    host.make_directory(DAEMON.pid_file.parent, 0o750, target.opendkim_user, target.opendkim_user)
    run(host, ["opendkim"], "OpenDKIM did not start")
    wait_until_running(host, DAEMON)


def _problems(host: Host, target: Target) -> Iterator[Problem]:
    if running_pid(host, DAEMON) is None:
        yield Problem(Origin(DAEMON.name), "", "it does not run", hint="the mail log says why")
    elif host.stat(target.opendkim_socket) is None:
        message = f"the socket {target.opendkim_socket} is missing"
        yield Problem(Origin(DAEMON.name), "", message, hint="the mail log says why")
