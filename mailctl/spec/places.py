"""Finds where the values of a spec stand, in whichever of its files, and shows the line."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from mailctl.errors import Origin, Problem, printable
from mailctl.spec.masking import masked_line, prepare_masks
from mailctl.spec.nodes import ListNode, MappingNode, SourceFile
from mailctl.spec.origins import Path
from mailctl.spec.values.domains import parse_domain

WIDEST_EXCERPT = 110
_LEFT_CONTEXT = 50
_CUT = "..."


class FilePlaces:
    """Places in the files a spec was read from; an Origins."""

    def __init__(self, root: MappingNode, files: Mapping[str, SourceFile]) -> None:
        self._root = root
        self._files = files
        self._folded: dict[int, dict[str, str]] = {}

    @property
    def files(self) -> Collection[str]:
        return self._files.keys()

    def text(self, file: str) -> str:
        return self._files[file].text

    def find(self, path: Path) -> Origin:
        """Where the value at `path` stands; for a mapping or list, and for what was not written, its nearest key."""
        return self._walk(path, want_key=False)

    def find_key(self, path: Path) -> Origin:
        return self._walk(path, want_key=True)

    def find_both(self, path: Path) -> set[Origin]:
        """Where the key and the value at `path` stand."""
        parent = self.value(path[:-1])
        found = {self.find(path), self.find_key(path)}
        if path and isinstance(parent, MappingNode) and path[-1] in parent:
            found.add(parent.value_origin(str(path[-1])))
        return found

    def value(self, path: Path) -> Any:
        """What was written at `path`; None where nothing was."""
        node: Any = self._root
        for part in path:
            node = self._child(node, part)
        return node

    def hide(self, path: Path) -> None:
        """Never show the value at `path` in an excerpt."""
        parent, name = self.value(path[:-1]), path[-1] if path else ""
        if isinstance(parent, MappingNode) and (key := self._written_key(parent, str(name))) is not None:
            source, _, place = parent.places[key]
            source.hidden.add(place)

    def excerpt(self, origin: Origin) -> str:
        """The line at `origin` and a caret below its column, secrets masked; empty where there is no line."""
        source = self._files.get(origin.file)
        return excerpt(source, origin) if source else ""

    def _walk(self, path: Path, want_key: bool) -> Origin:
        node: Any = self._root
        above: MappingNode | ListNode | None = None
        key: str | int | None = None
        for part in path:
            found = self._step(node, part)
            if found is None:
                break
            above, key, node = node, found, node[found]
        if isinstance(above, MappingNode):
            is_plain = isinstance(node, str) and not want_key
            return above.value_origin(str(key)) if is_plain else above.key_origin(str(key))
        if isinstance(above, ListNode) and isinstance(key, int):
            return above.item_origin(key)
        return Origin(self._root.source.name, 1, 1)

    def _step(self, node: Any, part: str | int) -> str | int | None:
        """What leads from `node` to what `part` of a path means; None where nothing is."""
        if isinstance(node, MappingNode):
            return self._written_key(node, str(part))
        return part if isinstance(node, ListNode) and isinstance(part, int) and part < len(node) else None

    def _child(self, node: Any, part: str | int) -> Any:
        key = self._step(node, part)
        return None if key is None else node[key]

    def _written_key(self, node: MappingNode, key: str) -> str | None:
        """The key as the user wrote it for `key` as the model keeps it."""
        if key in node:
            return key
        if id(node) not in self._folded:
            self._folded[id(node)] = {fold_key(each): each for each in reversed(node)}
        return self._folded[id(node)].get(key)


def fold_key(key: str) -> str:
    """`key` as the model keeps it, whatever kind of key it is: lower case, composed, domains as A-labels."""
    folded = unicodedata.normalize("NFC", key).lower()
    if folded.isascii() and folded == key:
        return key
    try:
        return parse_domain(folded)
    except ValueError:
        return folded


def excerpt(source: SourceFile, origin: Origin) -> str:
    """The line of `source` at `origin`, and a caret below the column, ready for a terminal."""
    if source.is_foreign or not 0 < origin.line <= len(source.lines) or not source.lines[origin.line - 1].strip():
        return ""
    line, column = masked_line(source, origin.line - 1, origin.column - 1)
    if len(line) > WIDEST_EXCERPT:
        line, column = _cut(line, column)
    before = printable(line[:column])
    return f"{before}{printable(line[column:])}\n{_blank(before)}^"


def _cut(line: str, column: int) -> tuple[str, int]:
    start = max(0, column - _LEFT_CONTEXT)
    end = start + WIDEST_EXCERPT
    prefix = _CUT if start else ""
    suffix = _CUT if end < len(line) else ""
    return f"{prefix}{line[start:end]}{suffix}", column - start + len(prefix)


def _blank(text: str) -> str:
    """Spaces as wide as `text` is on a terminal; tabs stay tabs."""
    return "".join(char if char == "\t" else " " * _width(char) for char in text)


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def excerpts(problems: list[Problem], files: Mapping[str, SourceFile]) -> list[Problem]:
    """The same problems, each with its line; every file is read for secrets only once."""
    for name, source in files.items():
        prepare_masks(source, [each.origin.line - 1 for each in problems if each.origin.file == name])
    return [
        replace(each, excerpt=excerpt(files[each.origin.file], each.origin)) if each.origin.file in files else each
        for each in problems
    ]
