"""The differences of two trees, and of two files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from mailctl.errors import printable
from mailctl.plan.model import Change, DirectoryChange
from mailctl.tree import RenderedFile, Tree

# Above this many differing lines a line-by-line alignment takes seconds and helps nobody.
LONGEST_ALIGNED = 2000
CONTEXT = 1
# A file counts as rewritten where less than one line in so many stays.
ONE_IN = 4


def diff_files(before: Tree, after: Tree, unknown: frozenset[str] = frozenset()) -> Iterator[Change]:
    """Every file that differs in content, mode or owner; tables are matched by name, `unknown` names left out."""
    old, new = _by_identity(before), _by_identity(after)
    for identity in sorted(old.keys() | new.keys()):
        was, becomes = old.get(identity), new.get(identity)
        if identity[1] not in unknown and not _same(was, becomes):
            yield Change(was, becomes)


def diff_directories(before: Tree, after: Tree) -> Iterator[DirectoryChange]:
    """Every directory of `after` that is missing, or has another mode or owner."""
    found = {each.path: each for each in before.directories}
    for wanted in after.directories:
        if found.get(wanted.path) != wanted:
            yield DirectoryChange(found.get(wanted.path), wanted)


def diff_lines(change: Change) -> list[str]:
    """The change as lines that start with `-`, `+`, a space or `@@`; safe for a terminal. Empty for a secret."""
    if change.is_secret:
        return []
    before, after = _lines(change.before), _lines(change.after)
    lines = _diff_rows(before, after) if change.is_table else _diff_text(before, after)
    return [printable(line) for line in lines]


def is_rewritten(change: Change) -> bool:
    """Whether so little of a file stays that its diff would only show two files in turns."""
    if change.before is None or change.after is None or change.is_secret or change.is_table:
        return False
    old, new = (set(filter(_is_row, _lines(file))) for file in (change.before, change.after))
    return len(old & new) * ONE_IN < min(len(old), len(new))


def count_rows(change: Change) -> tuple[int, int]:
    """How many rows are added and removed; comments, blank lines and order do not count."""
    removed, added = _differing_rows(_lines(change.before), _lines(change.after))
    return len(added), len(removed)


def _by_identity(tree: Tree) -> dict[tuple[bool, str], RenderedFile]:
    return {(file.is_table, file.name): file for file in tree}


def _same(before: RenderedFile | None, after: RenderedFile | None) -> bool:
    if before is None or after is None:
        return before is after
    return _face(before) == _face(after)


def _face(file: RenderedFile) -> tuple[bytes, int, str, str]:
    return file.content, file.mode, file.owner, file.group


def _lines(file: RenderedFile | None) -> list[str]:
    if file is None or not file.content:
        return []
    # Not splitlines, which also splits at a lone CR and at other characters a line may hold.
    *lines, rest = file.content.decode(errors="backslashreplace").split("\n")
    return [*lines, rest, "\\ no newline at the end"] if rest else lines


def _diff_text(before: list[str], after: list[str]) -> list[str]:
    head = _common_head(before, after)
    tail = _common_head(before[head:][::-1], after[head:][::-1])
    if max(len(before), len(after)) - head - tail > LONGEST_ALIGNED:
        return _diff_rows(before, after)
    # Keep what the context lines need, or unified_diff would number and show them wrongly.
    start, spare = max(head - CONTEXT, 0), max(tail - CONTEXT, 0)
    old, new = before[start : len(before) - spare], after[start : len(after) - spare]
    diff = difflib.unified_diff(old, new, lineterm="", n=CONTEXT)
    return [_renumber(line, start) if line.startswith("@@") else line for line in list(diff)[2:]]


def _renumber(heading: str, start: int) -> str:
    """A `@@ -2,3 +2,4 @@` heading of a cut file as one of the whole file, `start` lines further down."""
    old, new = (
        ",".join((str(int(numbers[0]) + start), *numbers[1:]))
        for numbers in (part[1:].split(",") for part in heading.split()[1:3])
    )
    return f"@@ -{old} +{new} @@"


def _common_head(before: list[str], after: list[str]) -> int:
    shortest = min(len(before), len(after))
    return next((n for n in range(shortest) if before[n] != after[n]), shortest)


def _diff_rows(before: list[str], after: list[str]) -> list[str]:
    """Rows that only one side has, the two of one lookup key together."""
    removed, added = _differing_rows(before, after)
    rows = [(_key(row), 0, f"-{row}") for row in removed] + [(_key(row), 1, f"+{row}") for row in added]
    shown = [row for _, _, row in sorted(rows)]
    return shown or (["@@ the order of the rows, or comments @@"] if before != after else [])


def _differing_rows(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    old, new = set(before), set(after)
    removed = [row for row in before if row not in new and _is_row(row)]
    added = [row for row in after if row not in old and _is_row(row)]
    return removed, added


def _is_row(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def _key(row: str) -> str:
    return row.split(None, 1)[0] if row.split() else ""
