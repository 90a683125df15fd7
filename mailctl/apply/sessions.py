"""Ending the open sessions of logins that are gone: a session outlives its password."""

from __future__ import annotations

import re

from mailctl.host import Host
from mailctl.plan.model import Plan
from mailctl.target import Target
from mailctl.tree import RenderedFile

# ss(8)
SESSIONS = ("--tcp", "state", "established", "( sport = :587 or sport = :465 )")
_PROCESS = re.compile(r'"smtpd",pid=(\d+),')


def removed_logins(plan: Plan, target: Target) -> list[str]:
    """The logins that a passwd-file of Dovecot holds now and will not hold after `plan`."""
    gone: set[str] = set()
    for change in plan.changes:
        if change.is_secret and change.path.parent == target.dovecot_dir:
            gone |= _logins(plan.actual.files.get(change.path)) - _logins(plan.desired.files.get(change.path))
    return sorted(gone)


def end_sessions(host: Host, logins: list[str]) -> None:
    """Close the IMAP and POP sessions of `logins`, and every submission session: Postfix cannot tell whose they are.

    A client that is cut off in the middle of a message has no reply to it, and sends it again; smtp(5).
    """
    if not logins or not host.is_live():
        return
    for login in logins:
        # Its exit status only says whether there was a session.
        host.run(["doveadm", "kick", "--", login])
    _close_submission_sessions(host)


def _close_submission_sessions(host: Host) -> None:
    """Close the connections, and end the processes of those the kernel does not close.

    Where a process dies in its first session, the master takes its service for broken and stops it for a minute,
    whatever is reloaded; service_throttle_time in postconf(5).
    """
    before = _submission_sessions(host)
    host.run(["ss", "--kill", *SESSIONS])
    for session, pid in _submission_sessions(host).items():
        if session in before:
            host.terminate(pid)


def _submission_sessions(host: Host) -> dict[tuple[str, ...], int]:
    """The process of every session, by the addresses and ports of both sides."""
    done = host.run(["ss", "--no-header", "--numeric", "--processes", *SESSIONS])
    lines = done.stdout.decode(errors="replace").splitlines()
    # Before the addresses stand the lengths of two queues, which change.
    return {tuple(line.split()[2:4]): int(found[1]) for line in lines if (found := _PROCESS.search(line))}


def _logins(file: RenderedFile | None) -> set[str]:
    lines = file.content.splitlines() if file else []
    return {line.split(b":", 1)[0].decode(errors="replace") for line in lines if b":" in line}
