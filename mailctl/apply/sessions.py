"""Ending the open sessions of logins that are gone: a session outlives its password."""

from __future__ import annotations

import re

from mailctl.components.dovecot.users import login_names
from mailctl.errors import Origin, Problem, Severity
from mailctl.host import Host
from mailctl.target import Target
from mailctl.tree import Tree

# ss(8)
SESSIONS = ("--tcp", "state", "established", "( sport = :587 or sport = :465 )")
# The lengths of two queues, the addresses of both sides, and who holds the socket where that can be seen.
_SESSION = re.compile(r"\d+ +\d+ +\S+ +(\S+):(\d+) +users:.*\(\"smtpd\",pid=(\d+),fd=(\d+)\).*")


def removed_logins(before: Tree, after: Tree, target: Target) -> list[str]:
    """The logins that the passwd-files of `before` hold and those of `after` do not."""
    return sorted({*login_names(before, target)}.difference(login_names(after, target)))


def end_sessions(host: Host, logins: list[str]) -> list[Problem]:
    """End the IMAP and POP sessions of `logins`, and every submission session: Postfix cannot tell whose they are.

    A client that is cut off in the middle of a message has no reply to it, and sends it again; RFC 5321 section 3.8.
    Warnings where a session could not be ended.
    """
    if not logins or not host.is_live():
        return []
    for login in logins:
        # Its exit status only says whether there was a session.
        host.run(["doveadm", "kick", "--", login])
    return [] if _hang_up_submissions(host) else [_note_open_sessions(logins)]


def _hang_up_submissions(host: Host) -> bool:
    """Whether every submission session was ended.

    Each smtpd(8) finds its client gone, and waits for the next. It is not killed: where one dies in its first session,
    the master takes its service for broken and stops it for a minute; service_throttle_time in postconf(5).
    """
    listed = host.run(["ss", "--no-header", "--numeric", "--processes", *SESSIONS]).stdout.decode(errors="replace")
    return all([_hang_up(host, line) for line in listed.splitlines()])  # noqa: C419 - each of them, whatever the others


def _hang_up(host: Host, session: str) -> bool:
    found = _SESSION.fullmatch(session.strip())
    if found is None:
        return False
    address, port, pid, descriptor = found.groups()
    return host.hang_up(int(pid), int(descriptor), (address.strip("[]"), int(port)))


def _note_open_sessions(logins: list[str]) -> Problem:
    return Problem(
        Origin("Postfix"),
        "",
        f"submission sessions stay open until their clients end them; they may be those of {', '.join(logins)}",
        "the kernel does not let mailctl end them here: it needs CAP_SYS_PTRACE",
        Severity.WARNING,
    )
