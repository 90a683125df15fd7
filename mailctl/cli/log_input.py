"""Which log a command reads, and what it says when it cannot."""

from __future__ import annotations

import os
import select
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast
from zoneinfo import ZoneInfo

from mailctl.cli.common import Session
from mailctl.errors import ExitCode, MailctlError, UsageError
from mailctl.maillog.compressed import LogError
from mailctl.maillog.source import blocks_of
from mailctl.target import MAIL_LOGS

if TYPE_CHECKING:
    from mailctl.maillog.trace import Blocks

STDIN = Path("-")
NAMES_OF_LOGS = " or ".join(map(str, MAIL_LOGS))
JOURNALS = (Path("/run/log/journal"), Path("/var/log/journal"))
PATIENCE = 2.0
"""Seconds until a wait for standard input is explained."""

LogSource = list[Path] | BinaryIO


class UnreadableLogError(MailctlError):
    """The log is missing, may not be read, or is damaged."""

    exit_code = ExitCode.UNREADABLE_LOG


@contextmanager
def readable_log() -> Iterator[None]:
    """Turns what the library says of a log it cannot read into a message and exit code 66."""
    try:
        yield
    except LogError as error:
        raise UnreadableLogError(str(error)) from error


@contextmanager
def open_source(
    session: Session,
    files: Sequence[Path],
    journal: bool,
    since: datetime | None = None,
    reaches_back: bool = False,
) -> Iterator[LogSource]:
    """The log to read: FILES, the journal, what is piped in, or the system's own log; its journal where it has none.

    Args:
        since: nothing before it is wanted.
        reaches_back: the day before may matter too, so a rotated system log is read as well.

    Raises:
        UsageError: files and the journal are both asked for, or stdin together with files.
        UnreadableLogError: none is named and the system has none.
    """
    if journal:
        if files:
            raise UsageError("--journal reads the journal, not files", hint="leave out one of them")
        with open_journal(session, since) as stream:
            yield stream
    elif STDIN in files:
        if len(files) > 1:
            raise UsageError("- stands for stdin and cannot be read together with files")
        yield sys.stdin.buffer
    elif files:
        yield list(files)
    elif _is_piped(session):
        yield sys.stdin.buffer
    elif log := _system_log(session, reaches_back or since is not None):
        yield log
    elif _has_journal(session):
        session.say(f"note: there is no {NAMES_OF_LOGS}; this is the journal")
        with open_journal(session, since) as stream:
            yield stream
    else:
        journal_too = ", and no journal" if session.host.is_live() else ""
        raise UnreadableLogError(f"there is no {NAMES_OF_LOGS}{journal_too}", hint="name the log")


@contextmanager
def open_repeatable(session: Session, files: Sequence[Path], journal: bool) -> Iterator[Blocks]:
    """The log as something that can be read from its beginning several times; a stream is copied for that."""
    with open_source(session, files, journal, reaches_back=True) as source:
        if isinstance(source, list):
            yield lambda: blocks_of(source)
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(source, copy)
            yield lambda: _from_the_start(copy)


def _from_the_start(stream: IO[bytes]) -> Iterator[bytes]:
    stream.seek(0)
    return blocks_of(cast(BinaryIO, stream))


def _is_piped(session: Session) -> bool:
    """Whether somebody sends a log. A timer's stdin is /dev/null, a terminal is the keyboard, cron's an empty pipe."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return False
    if not select.select([sys.stdin], [], [], PATIENCE)[0]:
        session.say("waiting for a log on standard input; `log-report < /dev/null` reads the system's own")
    return bool(cast(BufferedReader, sys.stdin.buffer).peek(1))


def _system_log(session: Session, reaches_back: bool) -> list[Path]:
    for log in MAIL_LOGS:
        if session.host.stat(log) is None:
            continue
        current = session.host.path(log)
        rotated = current.with_name(f"{log.name}.1")
        # The day before may have been rotated away this morning.
        return [rotated, current] if reaches_back and rotated.exists() else [current]
    return []


def _has_journal(session: Session) -> bool:
    from mailctl.components.service import has_systemd

    return session.host.is_live() and has_systemd(session.host)


@contextmanager
def open_journal(session: Session, since: datetime | None = None, cursor: str = "") -> Iterator[BinaryIO]:
    """The mail entries of the journal as JSON, from a time on or after a cursor.

    Raises:
        UsageError: another system's journal is asked for.
        UnreadableLogError: there is no journal, or journalctl failed and has said why on stderr.
    """
    from mailctl.components.service import has_systemd

    if not session.host.is_live():
        raise UsageError("the journal is that of the live system", hint="leave out --root, or name a log file")
    # journalctl says so to a terminal only, and ends well.
    if not has_systemd(session.host) and not any(any(folder.glob("*/*.journal*")) for folder in JOURNALS):
        raise UnreadableLogError("this machine has no journal", hint="name a log file")
    argv = ["journalctl", "--output=json", "--no-pager", "--facility=mail"]
    argv += [f"--since=@{since.timestamp():.0f}"] if since else []
    argv += [f"--after-cursor={cursor}"] if cursor else []
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream:
        try:
            process = session.host.spawn(argv, stdout=writer)
        finally:
            os.close(writer)
        try:
            yield stream
            stream.close()
            if status := process.wait():
                raise UnreadableLogError(f"journalctl ended with exit status {status}")
        finally:
            process.kill()
            process.wait()


def parse_zone(name: str | None) -> ZoneInfo | None:
    """The time zone `name` of the IANA database.

    Raises:
        UsageError: there is none of that name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(f"there is no time zone {name!r}", hint="write a name such as Europe/Berlin or UTC") from error
