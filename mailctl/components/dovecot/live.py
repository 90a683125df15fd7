"""The running Dovecot: reloading it, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.components.base import Action, Daemon
from mailctl.components.dovecot.users import login_names
from mailctl.components.dovecot.view import conf_file
from mailctl.components.service import LOG_HINT, Commands, drive, lasting_problems, running_pid
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.target import Target
from mailctl.tree import Tree

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


def verify(host: Host, tree: Tree, target: Target) -> list[Problem]:
    """What is wrong with the live Dovecot, once it had ten seconds to settle."""
    return lasting_problems(lambda: _problems(host, tree, target))


def _problems(host: Host, tree: Tree, target: Target) -> Iterator[Problem]:
    if running_pid(host, DAEMON) is None:
        yield _problem("it does not run", LOG_HINT)
        return
    for socket in _sockets(tree, target):
        if host.stat(socket) is None:
            yield _problem(f"the socket {socket} is missing", LOG_HINT)
    for login in login_names(tree, target)[:1]:
        done = host.run(["doveadm", "auth", "lookup", "-x", "service=smtp", login])
        if done.returncode != 0:
            yield _problem(f"it does not know the login {login}: {done.complaint}")


def _sockets(tree: Tree, target: Target) -> Iterator[PurePosixPath]:
    """Those that Postfix asks and dovecot.conf names; that of before the first apply may name others."""
    conf = tree.files.get(conf_file(target))
    lines = conf.content.decode(errors="replace").splitlines() if conf else []
    listeners = [line.split()[:2] for line in lines]
    asked = (target.auth_socket, target.lmtp_socket, target.quota_status_socket)
    return (socket for socket in asked if ["unix_listener", str(socket)] in listeners)


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(Origin(DAEMON.name), "", message, hint)
