"""What the services write into the log of this machine while an apply is at work."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailctl.components.service import has_systemd
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.target import MAIL_LOG

UNITS = ("postfix@-.service", "postfix.service", "dovecot.service", "opendkim.service")

# A stamp of RFC 3339 or `Nov 25 14:00:00`, the host, and what follows. What clients say never comes first.
_LINE = re.compile(r"(?:\S+|[A-Z][a-z]{2} [ \d]\d [\d:]{8}) \S+ ((?:postfix|dovecot|opendkim)\S*: .*)")
# No client makes a service say this.
_BREAKDOWN = re.compile(r"\S+: (?:\S+: )?(?:fatal: |panic: |Fatal: |Panic: |warning: .*bad command startup)")
_PROCESS = re.compile(r"\[\d+\]: ")


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where the log ended at a moment: `time` in seconds since 1970, `size` in bytes."""

    time: float
    size: int
    inode: int


def log_position(host: Host) -> LogPosition:
    """The end of the log as it is now."""
    found = host.stat(MAIL_LOG)
    return LogPosition(time.time(), found.size if found else 0, found.inode if found else 0)


def lines_since(host: Host, position: LogPosition) -> list[str]:
    """What Postfix, Dovecot and OpenDKIM wrote since: from the process on, without its id; nothing without a log."""
    return list(service_lines(_read(host, position)))


def breakdowns(lines: Iterable[str]) -> Iterator[Problem]:
    """The lines in which a service says that it cannot go on, each once."""
    for line in dict.fromkeys(lines):
        if _BREAKDOWN.match(line):
            yield Problem(Origin("mail log"), "", line)


def service_lines(log: str) -> Iterator[str]:
    """The lines of mail services in a log, from the process on, without its id."""
    for line in log.splitlines():
        if match := _LINE.fullmatch(line):
            yield _PROCESS.sub(": ", match[1], count=1)


def _read(host: Host, position: LogPosition) -> str:
    found = host.stat(MAIL_LOG)
    if found is not None:
        start = position.size if found.inode == position.inode else 0
        argv = ["tail", "-c", f"+{start + 1}", "--", str(host.path(MAIL_LOG))]
    elif has_systemd(host):
        units = (f"--unit={unit}" for unit in UNITS)
        argv = ["journalctl", "--quiet", "--no-pager", "-o", "short-iso", f"--since=@{position.time:.6f}", *units]
    else:
        return ""
    return host.run(argv).stdout.decode(errors="replace")
