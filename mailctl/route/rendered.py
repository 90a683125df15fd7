"""The configuration a spec means, asked without a server: the files and tables the Postfix component renders."""

from __future__ import annotations

import re

from mailctl.components.postfix.cf import main_parameters
from mailctl.components.postfix.files import render
from mailctl.components.postfix.table import Table, TableKind
from mailctl.components.postfix.tables import all_tables
from mailctl.route.server import DEFAULTS
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedFile

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


class RenderedServer:
    """A Server made of what would be applied."""

    def __init__(self, spec: Spec, target: Target) -> None:
        main_cf = target.postfix_dir / "main.cf"
        files = {file.path: file for file in render(spec, target) if isinstance(file, RenderedFile)}
        self._parameters = DEFAULTS | dict(main_parameters(files[main_cf].content.decode()))
        self._tables = {self._expand(table.reference(target)): table for table in all_tables(spec)}
        self._rows: dict[str, dict[str, str]] = {}

    def parameter(self, name: str) -> str:
        return self._expand(self._parameters.get(name, ""))

    def ask(self, table: str, key: str) -> str | None:
        # Tables mailctl does not render, such as /etc/aliases, are the machine's: a spec knows nothing of them.
        found = self._tables.get(table)
        if found is None:
            return None
        return _match(found, key) if found.kind is TableKind.PCRE else self._rows_of(found).get(key.lower())

    def _rows_of(self, table: Table) -> dict[str, str]:
        if table.name not in self._rows:
            self._rows[table.name] = dict(table.rows)
        return self._rows[table.name]

    def _expand(self, value: str) -> str:
        return _VARIABLE.sub(lambda found: found[1] or self.parameter(found[2] or found[3]), value)


def _match(table: Table, key: str) -> str | None:
    """What the first matching row says; pcre_table(5), as far as our tables use it."""
    is_skipping = False
    for word, value in table.rows:
        if word == "if":
            is_skipping = not _holds(value, key)
        elif word == "endif":
            is_skipping = False
        elif not is_skipping and _holds(word, key):
            return value
    return None


def _holds(condition: str, key: str) -> bool:
    pattern = condition.removeprefix("!").removeprefix("/").removesuffix("/")
    return bool(re.search(pattern, key, re.IGNORECASE)) is not condition.startswith("!")
