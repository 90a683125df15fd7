"""The live Postfix: what a change asks of it, doing that, and whether it serves afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.base import Action, Daemon, ReloadKind
from mailctl.components.postfix.cf import main_parameters, master_services
from mailctl.components.postfix.dialogue import SMTP_PORT, server_faults
from mailctl.components.postfix.files import MAIN_CF, MASTER_CF
from mailctl.components.service import LOG_HINT, Commands, drive, running_pid, wait_until, wait_until_running
from mailctl.errors import MailctlError, Origin, Problem, Severity
from mailctl.host import Host
from mailctl.target import Target, Version
from mailctl.tree import Tree

NAME = "Postfix"
SUBMISSION_PORT, SUBMISSION = 587, "submission/inet"
GREETING = b"220"
# The master reads these once, when it starts.
RESTART_PARAMETERS = (
    "inet_interfaces",
    "inet_protocols",
    "queue_directory",
    "config_directory",
    "data_directory",
    "mail_owner",
    "setgid_group",
)
# Debian made the instance `postfix@-` the unit that counts; 13 went back to one unit.
FIRST_WITH_ONE_UNIT: Version = (3, 9)


def action(before: Tree, after: Tree) -> Action:
    """What Postfix must do when `before` becomes `after`; source: postconf(5), master(5)."""
    if not _content(after, MAIN_CF):
        return Action(NAME, ReloadKind.NOTHING)  # before the first apply there may have been none
    if not _content(before, MAIN_CF):
        return Action(NAME, ReloadKind.RESTART, "first configuration")
    old, new = (main_parameters(_content(tree, MAIN_CF)) for tree in (before, after))
    for name in RESTART_PARAMETERS:
        if old.get(name) != new.get(name):
            return Action(NAME, ReloadKind.RESTART, f"{name} changed")
    if ended := sorted(_ended_services(before, after)):
        return Action(NAME, ReloadKind.RELOAD, f"connections to {', '.join(ended)} end at once")
    if any(_content(before, name) != _content(after, name) for name in (MAIN_CF, MASTER_CF)):
        return Action(NAME, ReloadKind.RELOAD)
    return Action(NAME, ReloadKind.NOTHING)


def perform(host: Host, target: Target, action: Action) -> None:
    """Reload a running Postfix; a restart also starts one that is stopped, a reload leaves it stopped.

    Raises:
        MailctlError: it did not come back.
    """
    process = daemon(target)
    is_stopped = running_pid(host, process) is None
    if action.kind is ReloadKind.NOTHING or (action.kind is ReloadKind.RELOAD and is_stopped):
        return
    control = ("postfix", "-c", target.postfix_dir)
    start, reload, stop = ((*control, verb) for verb in ("start", "reload", "stop"))
    drive(host, process, action.kind, Commands(start, lambda pid: reload, lambda pid: stop))
    wait_until_running(host, process)
    if not _answers(host, SMTP_PORT):
        raise MailctlError("Postfix does not answer on port 25", hint=LOG_HINT)


def verify(host: Host, tree: Tree, target: Target) -> list[Problem]:
    """Whether Postfix runs, greets on its ports, and takes a recipient; a stopped one is only worth a warning."""
    origin = Origin(str(target.postfix_dir / MAIN_CF))
    if running_pid(host, daemon(target)) is None:
        hint = "files are in place; start it with `systemctl start postfix` or `postfix start`"
        return [Problem(origin, "", "Postfix is not running", hint=hint, severity=Severity.WARNING)]
    has_submission = SUBMISSION in master_services(_content(tree, MASTER_CF))
    ports = (SMTP_PORT, SUBMISSION_PORT) if has_submission else (SMTP_PORT,)
    silent = [f"Postfix does not answer on port {port}" for port in ports if not _answers(host, port)]
    faults = silent or server_faults(host, _content(tree, MAIN_CF))
    return [Problem(origin, "", message, hint=LOG_HINT) for message in faults]


def _ended_services(before: Tree, after: Tree) -> Iterator[str]:
    """Services whose processes a reload kills: removed or renamed ones, or with another type or private flag."""
    old, new = (master_services(_content(tree, MASTER_CF)) for tree in (before, after))
    for key, rest in old.items():
        if key not in new or rest.split()[:1] != new[key].split()[:1]:
            yield key


def _content(tree: Tree, name: str) -> str:
    return next((file.content.decode() for file in tree if file.path.name == name), "")


def daemon(target: Target) -> Daemon:
    """The master process, and the unit whose state counts."""
    unit = "postfix.service" if target.postfix_version >= FIRST_WITH_ONE_UNIT else "postfix@-.service"
    return Daemon(NAME, unit, "master", target.postfix_queue_dir / "pid/master.pid")


def _answers(host: Host, port: int) -> bool:
    return wait_until(lambda: host.greeting(port).startswith(GREETING))
