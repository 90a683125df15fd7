"""What can go wrong, as data: where, what, and how to fix it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path


class ExitCode(IntEnum):
    """The exit codes of every command; numbers from 64 up follow sysexits(3)."""

    OK = 0
    FAILED = 1
    DIFFERENCES = 2
    ROLLBACK_FAILED = 3
    USAGE = 64
    SPEC_INVALID = 65
    UNREADABLE_LOG = 66
    UNFIT = 69
    BUSY = 75
    NEEDS_ROOT = 77
    INTERRUPTED = 130


class Severity(StrEnum):
    """How much a problem matters: an error stops the command, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A place in a file; line and column count from 1 as editors do, 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing for the user to fix. Problems are collected: nobody wants one per run.

    `excerpt` is the offending line of the file, any secret in it masked, and below it a line with a caret.
    """

    origin: Origin
    path: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    excerpt: str = ""

    def __str__(self) -> str:
        """Where, what, the line with a caret, and the hint; safe for a terminal."""
        label = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        where = f"{self.path}: " if self.path else ""
        lines = [f"{self.origin}: {label}{where}{self.message}"]
        lines.extend(f"    {line}" for line in self.excerpt.splitlines())
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(map(printable, lines))

    def as_json(self) -> dict[str, str | int]:
        """The keys of `diagnostics` in every JSON output."""
        return {
            "file": self.origin.file,
            "line": self.origin.line,
            "column": self.origin.column,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
            "severity": self.severity.value,
        }


class MailctlError(Exception):
    """A failure the current command cannot continue from.

    `problems` carries what there is to fix; the message alone must already say what and how.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "", problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)


class UsageError(MailctlError):
    """The command line asks for something that makes no sense."""

    exit_code = ExitCode.USAGE


class SpecError(MailctlError):
    """The spec is not valid; carries every problem found."""

    exit_code = ExitCode.SPEC_INVALID


class UnfitError(MailctlError):
    """The machine lacks something; nothing was changed."""

    exit_code = ExitCode.UNFIT


def missing_modules(*packages: str) -> UnfitError:
    """The refusal where Python packages are missing, with the pip that installs them beside mailctl."""
    verb = "are" if packages[1:] else "is"
    hint = f"install beside mailctl: {Path(sys.prefix, 'bin', 'pip')} install {' '.join(packages)}"
    return UnfitError(f"{' and '.join(packages)} {verb} not installed", hint=hint)


class BusyError(MailctlError):
    """Somebody else is at work, or the ground moved: locked, stale plan, drift."""

    exit_code = ExitCode.BUSY


class NeedsRootError(MailctlError):
    """The verb writes the live system and must run as root."""

    exit_code = ExitCode.NEEDS_ROOT


class RollbackError(MailctlError):
    """The old configuration could not be put back: a person is needed."""

    exit_code = ExitCode.ROLLBACK_FAILED


def printable(text: str) -> str:
    """`text` with every control character (ESC, CR, bidi overrides ...) written as an escape.

    Spec values, log lines and replies of servers reach terminals only through here.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
