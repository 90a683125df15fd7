"""Ending the open sessions of logins that are gone: a session outlives its password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.host import Host
from mailctl.plan.model import Plan
from mailctl.target import Target
from mailctl.tree import RenderedFile

PROC = PurePosixPath("/proc")
# ss(8)
SUBMISSION_CONNECTIONS = ("--tcp", "state", "established", "( sport = :587 or sport = :465 )")
SUBMISSION_SERVICES = ("submission", "submissions", "smtps", "587", "465")


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
    """Close the connections, which ends sessions like a client that goes away.

    Where a process dies in its first session, the master takes no connection for its service a minute long, a reload
    notwithstanding (service_throttle_time in postconf(5)): processes are ended only where the kernel closes nothing.
    """
    if host.find_program("ss"):
        before = _submission_connections(host)
        host.run(["ss", "--kill", *SUBMISSION_CONNECTIONS])
        if not before & _submission_connections(host):
            return
    for pid in _submission_processes(host):
        host.terminate(pid)


def _submission_connections(host: Host) -> set[bytes]:
    done = host.run(["ss", "--no-header", "--numeric", *SUBMISSION_CONNECTIONS])
    # Without the lengths of the queues, which change.
    return {b" ".join(line.split()[2:4]) for line in done.stdout.splitlines()}


def _submission_processes(host: Host) -> Iterator[int]:
    for name in host.list_directory(PROC):
        if not name.isdigit():
            continue
        words = (host.read(PROC / name / "cmdline") or b"").decode(errors="replace").split("\0")
        if words[0].rpartition("/")[2] == "smtpd" and _service(words) in SUBMISSION_SERVICES:
            yield int(name)


def _service(words: list[str]) -> str:
    """The name after `-n`, which the master gives every process it starts; smtpd(8), master(5)."""
    return words[words.index("-n") + 1] if "-n" in words[:-1] else ""


def _logins(file: RenderedFile | None) -> set[str]:
    lines = file.content.splitlines() if file else []
    return {line.split(b":", 1)[0].decode(errors="replace") for line in lines if b":" in line}
