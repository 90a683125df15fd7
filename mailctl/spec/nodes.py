"""Values that know where they were written, and the files they were read from."""

from __future__ import annotations

import functools
import glob
import os
import re
import stat
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailctl.errors import Origin, Problem

# Of all files of a spec together: what is larger would need more time and memory than a plan may take.
LARGEST_SPEC = 32 * 2**20
MOST_VALUES = 700_000  # keys count, too; a mailbox has six, an alias three
TOO_MANY_VALUES = f"a spec cannot hold more than {MOST_VALUES:,} keys and values"
LONGEST_SECRET = 4096
MOST_PROBLEMS = 50

Place = int
"""Where a value begins, in characters from the start of its file: 100,000 mailboxes have a million of them."""
Span = tuple[int, int]

# Line breaks YAML knows and editors do not, and everything that is no text.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class SourceFile:
    """One file of the spec: its name as the user gave it, its text, and where its values stand."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.name = str(path)
        self.text = text
        self.marks = array("Q")
        # Places of values that must not be shown although nothing in their key says so.
        self.hidden: set[Place] = set()
        # Parts of lines that belong to secrets, by line; filled where an excerpt is shown.
        self.secret_spans: dict[int, list[Span]] = {}
        # Nothing in it looks like a spec: it may be anything, a file of secrets too, so none of it is shown.
        self.is_foreign = False

    def origin(self, place: Place) -> Origin:
        line, column = self.position(place)
        return Origin(self.name, line + 1, column + 1)

    def position(self, place: Place) -> tuple[int, int]:
        """Line and column of a place, both from 0."""
        line = bisect_right(self._line_starts, place) - 1
        return line, place - self._line_starts[line]

    @functools.cached_property
    def _line_starts(self) -> list[Place]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.text))]

    @functools.cached_property
    def lines(self) -> list[str]:
        """The text as editors number it."""
        return _LINE_BREAK.split(self.text)


class MappingNode(dict[str, Any]):
    """A mapping that knows where it was written."""

    __slots__ = ("_places", "source", "start")

    def __init__(self, items: Any, source: SourceFile, start: int) -> None:
        dict.__init__(self, items)
        self.source = source
        self.start = start
        self._places: dict[str, tuple[SourceFile, Place, Place]] | None = None

    @property
    def places(self) -> dict[str, tuple[SourceFile, Place, Place]]:
        """For each key: its file, the place of the key, the place of its value."""
        if self._places is None:
            marks = self.source.marks[self.start : self.start + 2 * len(self)]
            self._places = {key: (self.source, marks[2 * i], marks[2 * i + 1]) for i, key in enumerate(self)}
        return self._places

    def key_origin(self, key: str) -> Origin:
        source, place, _ = self.places[key]
        return source.origin(place)

    def value_origin(self, key: str) -> Origin:
        source, _, place = self.places[key]
        return source.origin(place)

    def adopt(self, key: str, other: MappingNode) -> None:
        """Take `key` over from a mapping of another file, its place included."""
        places = self.places
        self[key] = other[key]
        places[key] = other.places[key]

    def copy(self) -> MappingNode:
        """A shallow copy that knows the same places."""
        other = MappingNode(self, self.source, self.start)
        other._places = dict(self.places)
        return other


class ListNode(list[Any]):
    """A list that knows where its items were written."""

    __slots__ = ("source", "start")

    def __init__(self, items: list[Any], source: SourceFile, start: int) -> None:
        list.__init__(self, items)
        self.source = source
        self.start = start

    def item_origin(self, index: int) -> Origin:
        return self.source.origin(self.source.marks[self.start + index])


def base_folder(value: Mapping[str, Any]) -> Path:
    """The folder of the file that `value` was read from; the working directory for a mapping made in memory."""
    return value.source.path.parent if isinstance(value, MappingNode) else Path()


class UnreadableFileError(Exception):
    """A file that cannot be read as text at all; carries the one problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read_source(path: Path) -> SourceFile:
    """The text of a regular file, UTF-8, without characters that are no text.

    Raises:
        UnreadableFileError: missing, not a regular file (never waits on a FIFO), too large, or not text.
    """
    try:
        content = read_regular(path, LARGEST_SPEC)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unreadable(path, f"cannot read it: {reason[:1].lower()}{reason[1:]}") from error
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise _unreadable(path, "not UTF-8 text from here on", line, column, "save the file as UTF-8") from error
    source = SourceFile(path, text)
    if found := _FORBIDDEN.search(text):
        before_text = _LINE_BREAK.split(text[: found.start()])
        message = f"the control character {found[0]!r} is not allowed"
        raise _unreadable(path, message, len(before_text), len(before_text[-1]) + 1)
    return source


def _unreadable(path: Path, message: str, line: int = 0, column: int = 0, hint: str = "") -> UnreadableFileError:
    return UnreadableFileError(Problem(Origin(str(path), line, column), "", message, hint))


def read_secret(path: Path) -> str:
    """What a secret file holds, without the line end an editor leaves.

    Raises:
        OSError: as `read_regular`.
        UnicodeDecodeError: it is not text.
    """
    return read_regular(path, LONGEST_SECRET).decode().rstrip("\r\n")


def expand(pattern: str, folder: Path) -> list[str]:
    """The names a pattern of `include` means, in order; `folder` is that of the spec."""
    return sorted(glob.glob(pattern, root_dir=folder))  # noqa: PTH207 - Path.glob takes no absolute pattern


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises:
        OSError: it cannot be read, is something else (never waits on a FIFO), or is larger.
    """
    # O_NONBLOCK: opening a FIFO nobody writes to must not wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(0, "it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        size = f"{most >> 20} MiB" if most >= 2**20 else f"{most} bytes"
        raise OSError(0, f"it is larger than {size}")
    return content
