"""Ending the open sessions of logins that are gone: a session outlives its password."""

from __future__ import annotations

import re

from mailctl.host import Host
from mailctl.plan.model import Plan
from mailctl.target import Target
from mailctl.tree import RenderedFile

SUBMISSION_PORTS = (587, 465)

# `... users:(("smtpd",pid=7,fd=9))`, ss(8)
_SESSION = re.compile(r'"smtpd",pid=(\d+),')


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
    for pid in _processes_in_session(host):
        host.terminate(pid)


def _processes_in_session(host: Host) -> list[int]:
    """Those with a client. An idle one has no session to end, and leaves after the reload by itself.

    Where one is killed that had no client yet, the master takes the whole service for broken and stops it for a minute.
    """
    ports = " or ".join(f"sport = :{port}" for port in SUBMISSION_PORTS)
    done = host.run(["ss", "-Hntp", "state", "established", f"( {ports} )"])
    return sorted({int(pid) for pid in _SESSION.findall(done.stdout.decode(errors="replace"))})


def _logins(file: RenderedFile | None) -> set[str]:
    lines = file.content.splitlines() if file else []
    return {line.split(b":", 1)[0].decode(errors="replace") for line in lines if b":" in line}
