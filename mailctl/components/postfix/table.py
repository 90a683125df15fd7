"""One lookup table as a value, and how it is written; postmap(1), postalias(1), pcre_table(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import groupby

from mailctl.render import UnsafeValueError, join_lines
from mailctl.target import Target
from mailctl.tree import PUBLIC_MODE, SECRET_MODE

TABLES_PARAMETER = "mailctl_tables"
MANAGED = "# Managed by mailctl: edit the spec, not this file."

Rows = tuple[tuple[str, str], ...]

# What separates keys, values, addresses or patterns may not stand inside one, whatever the spec let through.
_KEY = re.compile(r"[^\s\"#][^\s\"]*")
_ADDRESS = re.compile(r"[^\s\",;:<>()\[\]\\|/$#][^\s\",;:<>()\[\]\\$]*")
_PATTERN = re.compile(r"[^\s/]+")
_TAGGED = "/\\+/"


class TableKind(StrEnum):
    """How a table reaches Postfix: indexed by postmap or postalias, or read as it is."""

    INDEXED = "indexed"
    ALIASES = "aliases"
    PCRE = "pcre"
    TEXT = "texthash"


@dataclass(frozen=True)
class Table:
    """One lookup table; `about` heads its file, a private one is readable by root only."""

    name: str
    about: str
    rows: Rows
    kind: TableKind = TableKind.INDEXED
    is_private: bool = False

    @property
    def mode(self) -> int:
        return SECRET_MODE if self.is_private else PUBLIC_MODE

    @property
    def is_indexed(self) -> bool:
        return self.kind in (TableKind.INDEXED, TableKind.ALIASES)

    def table_type(self, target: Target) -> str:
        return str(target.table_type if self.is_indexed else self.kind)

    def reference(self, target: Target) -> str:
        """The table as a value of main.cf."""
        return f"{self.table_type(target)}:${TABLES_PARAMETER}/{self.name}"

    @cached_property
    def source(self) -> bytes:
        """The text postmap reads.

        Raises:
            UnsafeValueError: a key or value would open another row.
        """
        if self.kind is not TableKind.PCRE:
            _refuse_unless(_ADDRESS if self.kind is TableKind.ALIASES else _KEY, [key for key, _ in self.rows])
        separator = ": " if self.kind is TableKind.ALIASES else " "
        lines = [f"{key}{separator}{value}" if value else key for key, value in self.rows]
        return join_lines([f"# {self.about}", MANAGED, *lines], f"the table {self.name}")


def sorted_rows(rows: Mapping[str, str] | Iterable[tuple[str, str]]) -> Rows:
    return tuple(sorted(rows.items() if isinstance(rows, Mapping) else rows))


def address_rows(rows: Iterable[tuple[str, Sequence[str]]]) -> Rows:
    """Rows whose values are lists of addresses; raises what `join_addresses` does."""
    found = list(rows)
    _refuse_unless(_ADDRESS, [address for _, addresses in found for address in addresses])
    return sorted_rows((key, ", ".join(addresses)) for key, addresses in found)


def join_addresses(addresses: Sequence[str]) -> str:
    """A value that holds a list of addresses.

    Raises:
        UnsafeValueError: one of them would be read as two, or as a command, file or variable.
    """
    _refuse_unless(_ADDRESS, addresses)
    return ", ".join(addresses)


def pattern_table_rows(patterns: Iterable[tuple[str, tuple[str, ...]]]) -> Rows:
    """Rows of a pcre table, in order: the first match wins.

    A pattern does not see tagged addresses (`ali+lists@`) unless it names the `+` itself: Postfix looks up the
    address with its tag first, so `/^a.*$/` would take mail from the mailbox `ali`.
    """
    rows: list[tuple[str, str]] = []
    for names_tag, group in groupby(patterns, key=lambda row: "+@" in row[0] or "\\+" in row[0] or "[+" in row[0]):
        found = [(_delimited(pattern), join_addresses(targets)) for pattern, targets in group]
        rows += found if names_tag else [("if", f"!{_TAGGED}"), *found, ("endif", "")]
    return tuple(rows)


def _delimited(pattern: str) -> str:
    _refuse_unless(_PATTERN, [pattern])
    return f"/{pattern}/"


def _refuse_unless(allowed: re.Pattern[str], texts: Sequence[str]) -> None:
    if not all(map(allowed.fullmatch, texts)):
        culprit = next(text for text in texts if not allowed.fullmatch(text))
        raise UnsafeValueError(f"{culprit!r} would change the structure of the table")
