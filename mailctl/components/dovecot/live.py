"""The running Dovecot: reloading it, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.components.base import Action, Daemon
from mailctl.components.service import LOG_HINT, Commands, drive, lasting_problems, running_pid
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.spec.derive import hosts_mail, logins
from mailctl.spec.model import Spec
from mailctl.target import Target

DAEMON = Daemon("Dovecot", "dovecot.service", "dovecot", PurePosixPath("/run/dovecot/master.pid"))
COMMANDS = Commands(start=("dovecot",), reload=lambda pid: ("doveadm", "reload"), stop=lambda pid: ("doveadm", "stop"))


def daemon(target: Target) -> Daemon:
    return DAEMON


def perform(host: Host, target: Target, action: Action) -> None:
    """Reload Dovecot, or start it where it does not run.

    Raises:
        MailctlError: it refused the configuration, or did not come back.
    """
    drive(host, DAEMON, action.kind, COMMANDS)


def verify(host: Host, spec: Spec, target: Target) -> list[Problem]:
    """What is wrong with the live Dovecot, once it had ten seconds to settle."""
    return lasting_problems(lambda: _problems(host, spec, target))


def _problems(host: Host, spec: Spec, target: Target) -> Iterator[Problem]:
    if running_pid(host, DAEMON) is None:
        yield _problem("it does not run", LOG_HINT)
        return
    for socket in _sockets(spec, target):
        if host.stat(socket) is None:
            yield _problem(f"the socket {socket} is missing", LOG_HINT)
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
