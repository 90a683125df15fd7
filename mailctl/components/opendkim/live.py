"""The running OpenDKIM: reloading it, and whether it is there to sign."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.components.base import Action, Daemon, ReloadKind
from mailctl.components.opendkim.view import PID_FILE
from mailctl.components.service import LOG_HINT, Commands, drive, has_systemd, lasting_problems, running_pid
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.target import Target
from mailctl.tree import Tree

DAEMON = Daemon("OpenDKIM", "opendkim.service", "opendkim", PID_FILE)
COMMANDS = Commands(
    start=("opendkim",), reload=lambda pid: ("kill", "-USR1", str(pid)), stop=lambda pid: ("kill", str(pid))
)


def daemon(target: Target) -> Daemon:
    return DAEMON


def perform(host: Host, target: Target, action: Action) -> None:
    """Reload OpenDKIM, or start it where it does not run.

    Raises:
        MailctlError: it refused the configuration, or did not come back.
    """
    if action.kind is not ReloadKind.NOTHING and not has_systemd(host):  # where it runs, tmpfiles.d(5) makes the folder
        host.make_directory(DAEMON.pid_file.parent, 0o750, target.opendkim_user, target.opendkim_user)
    drive(host, DAEMON, action.kind, COMMANDS)


def verify(host: Host, tree: Tree, target: Target) -> list[Problem]:
    """What is wrong with the live OpenDKIM, once it had ten seconds to settle."""
    return lasting_problems(lambda: _problems(host, tree, target))


def _problems(host: Host, tree: Tree, target: Target) -> Iterator[Problem]:
    if running_pid(host, DAEMON) is None:
        yield Problem(Origin(DAEMON.name), "", "it does not run", LOG_HINT)
    elif _is_named(target.opendkim_socket, tree, target) and host.stat(target.opendkim_socket) is None:
        message = f"the socket {target.opendkim_socket} is missing"
        yield Problem(Origin(DAEMON.name), "", message, LOG_HINT)


def _is_named(socket: PurePosixPath, tree: Tree, target: Target) -> bool:
    """Whether opendkim.conf asks for this socket; that of before the first apply may name another."""
    conf = tree.files.get(target.opendkim_conf)
    lines = conf.content.decode(errors="replace").splitlines() if conf else []
    return ["Socket", f"local:{socket}"] in [line.split() for line in lines]
