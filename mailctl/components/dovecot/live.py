"""The running Dovecot: reloading it, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.components.base import Action, ReloadKind
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
from mailctl.spec.derive import hosts_mail, logins
from mailctl.spec.model import Spec
from mailctl.target import Target

DAEMON = Daemon("Dovecot", "dovecot.service", "dovecot", PurePosixPath("/run/dovecot/master.pid"))


def daemon(target: Target) -> Daemon:
    return DAEMON


def perform(host: Host, target: Target, action: Action) -> None:
    """Reload Dovecot, or start it where it does not run.

    Raises:
        MailctlError: it refused the configuration, or did not come back.
    """
    if action.kind is ReloadKind.NOTHING:
        return
    if has_systemd(host):
        systemctl(host, "restart" if action.kind is ReloadKind.RESTART else "reload-or-restart", DAEMON)
    elif running_pid(host, DAEMON) is None:
        _start(host)
    elif action.kind is ReloadKind.RELOAD:
        run(host, ["doveadm", "reload"], "Dovecot did not reload")
    else:
        run(host, ["doveadm", "stop"], "Dovecot did not stop")
        wait_until_stopped(host, DAEMON)
        _start(host)


def verify(host: Host, spec: Spec, target: Target) -> list[Problem]:
    """What is wrong with the live Dovecot, once it had ten seconds to settle."""
    if not wait_until(lambda: not any(_problems(host, spec, target))):
        return list(_problems(host, spec, target))
    return []


def _start(host: Host) -> None:
    run(host, ["dovecot"], "Dovecot did not start", hint="the mail log says why")
    wait_until_running(host, DAEMON)


def _problems(host: Host, spec: Spec, target: Target) -> Iterator[Problem]:
    if running_pid(host, DAEMON) is None:
        yield _problem("it does not run", hint="the mail log says why")
        return
    for socket in _sockets(spec, target):
        if host.stat(socket) is None:
            yield _problem(f"the socket {socket} is missing", hint="the mail log says why")
    login = next(logins(spec))
    done = host.run(["doveadm", "auth", "lookup", "-x", "service=smtp", login.address])
    if done.returncode != 0:
        yield _problem(f"it does not know the login {login.address}: {done.complaint}")


def _sockets(spec: Spec, target: Target) -> tuple[PurePosixPath, ...]:
    if hosts_mail(spec):
        return (target.auth_socket, target.lmtp_socket, target.quota_status_socket)
    return (target.auth_socket,)


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(Origin(DAEMON.name), "", message, hint)
