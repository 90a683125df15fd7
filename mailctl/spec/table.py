"""CSV files of mailboxes: one row each, read into the same nodes as YAML, with the place of every cell."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mailctl.errors import Origin, Problem
from mailctl.spec.hints import did_you_mean
from mailctl.spec.nodes import (
    MOST_PROBLEMS,
    MOST_VALUES,
    TOO_MANY_VALUES,
    ListNode,
    MappingNode,
    Place,
    SourceFile,
    Span,
)

ADDRESS = "address"
SECRETS = {"password_hash": "hash", "password_file": "file"}
LISTS = ("send_as", "deliver_to")
COLUMNS = (ADDRESS, *SECRETS, "kind", "quota", "null_sender", *LISTS)

_CELL = re.compile(r'(?:^|,)("(?:[^"]|"")*"|[^,]*)')


# In a table a place is a line and the number of a cell: columns are worked out only when somebody asks.
_MOST_CELLS = 2**16


def _cell(line: int, index: int) -> Place:
    return line * _MOST_CELLS + min(index, _MOST_CELLS - 1)


# What csv says, in words of somebody who looks at the line.
MEANT = {"unexpected end of data": "the quote that opens here is never closed"}


class TableFile(SourceFile):
    """A CSV file of the spec."""

    def origin(self, place: Place) -> Origin:
        line, index = divmod(place, _MOST_CELLS)
        cells = self.cells(line)
        return Origin(self.name, line + 1, cells[min(index, len(cells) - 1)][0] + 1)

    def cells(self, line: int) -> list[Span]:
        """Where the cells of a line begin and end, in characters from 0."""
        text = self.lines[line] if line < len(self.lines) else ""
        return [match.span(1) for match in _CELL.finditer(text)]


class Table:
    """What a table holds: mailboxes by domain and localpart, both as written, and what is wrong with it.

    The first line names the columns; `send_as` and `deliver_to` hold several values apart by spaces; an empty cell
    is a key that is not given. `most` is how many values it may hold.
    """

    def __init__(self, source: TableFile, most: int = MOST_VALUES) -> None:
        self.source = source
        self.most = most
        self.problems: list[Problem] = []
        self.columns: list[str] = []
        self._found: dict[str, dict[str, tuple[MappingNode, Place]]] = {}
        self._read()

    @property
    def mailboxes(self) -> Mapping[str, MappingNode]:
        """For each domain a mapping node of its mailboxes."""
        return {domain: self._mailboxes_of(found) for domain, found in self._found.items()}

    def _read(self) -> None:
        rows = self._rows()
        line, columns = next(rows, (0, []))
        self.columns = columns if line == 0 else []
        self._check_header()
        if self.problems:
            return
        left = self.most
        for line, cells in rows:
            left -= len(cells) + 1
            if left < 0:
                self._report(line, 0, TOO_MANY_VALUES)
                return
            if len(cells) == len(self.columns):
                self._add(line, cells)
            else:
                self._report(line, 0, f"expected {len(self.columns)} cells, found {len(cells)}")
            if len(self.problems) >= MOST_PROBLEMS:
                return

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(self.source.lines, strict=True)
        line = 0
        try:
            for cells in reader:
                if reader.line_num != line + 1:
                    self._report(line, 0, "a cell holds a line break")
                elif cells:
                    yield line, cells
                line = reader.line_num
        except csv.Error as error:
            words = MEANT.get(str(error), str(error))
            self._report(line, 0, f"not valid CSV: {words}")

    def _check_header(self) -> None:
        for index, name in enumerate(self.columns):
            if name not in COLUMNS:
                hint = did_you_mean(name, COLUMNS) or f"columns: {', '.join(COLUMNS)}"
                hint = "separate columns by commas" if ";" in name else hint
                self._report(0, index, f"unknown column {name!r}", hint)
            elif name in self.columns[:index]:
                self._report(0, index, f"the column {name!r} is repeated")
        if ADDRESS not in self.columns and not self.problems:
            self._report(0, 0, "no column 'address'", f"the first line names the columns: {', '.join(COLUMNS)}")

    def _add(self, line: int, cells: list[str]) -> None:
        index = self.columns.index(ADDRESS)
        name, at, domain = cells[index].strip().rpartition("@")
        mailboxes = self._found.setdefault(domain, {}) if at else {}
        if not at:
            self._report(line, index, "no address; write 'localpart@domain'")
        elif name in mailboxes:
            first = self.source.origin(mailboxes[name][1])
            self._report(line, index, f"the address '{name}@{domain}' is repeated", f"first written at {first}")
        else:
            mailboxes[name] = (self._mailbox(line, cells), _cell(line, index))

    def _mailbox(self, line: int, cells: list[str]) -> MappingNode:
        items: dict[str, Any] = {}
        marks: list[Place] = []
        for index, (column, cell) in enumerate(zip(self.columns, map(str.strip, cells), strict=True)):
            if column == ADDRESS or not cell:
                continue
            place = _cell(line, index)
            if column not in SECRETS:
                items[column] = self._list(cell.split(), place) if column in LISTS else cell
            elif "password" not in items:
                items["password"] = self._node({SECRETS[column]: cell}, [place, place])
            else:
                self._report(line, index, "password_hash and password_file are both given")
                continue
            marks += (place, place)
        return self._node(items, marks)

    def _mailboxes_of(self, found: dict[str, tuple[MappingNode, Place]]) -> MappingNode:
        marks = [place for _, place in found.values() for _ in range(2)]
        return self._node({name: node for name, (node, _) in found.items()}, marks)

    def _node(self, items: dict[str, Any], marks: list[Place]) -> MappingNode:
        node = MappingNode(items, self.source, len(self.source.marks))
        self.source.marks.extend(marks)
        return node

    def _list(self, values: list[str], place: Place) -> ListNode:
        node = ListNode(values, self.source, len(self.source.marks))
        self.source.marks.extend([place] * len(values))
        return node

    def _report(self, line: int, index: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.source.origin(_cell(line, index)), "", message, hint))
