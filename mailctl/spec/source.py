"""The spec's files as text: YAML read from libyaml events, with the place of every key and value.

Scalars stay the text the user wrote, only an empty value, `null` and `~` become None, so `no`, `0755` and `1:30`
reach the model as written. What makes YAML surprising is refused: duplicate keys, anchors, aliases, tags, merge
keys, a second document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

from mailctl.errors import Origin, Problem
from mailctl.spec.nodes import MOST_PROBLEMS, MOST_VALUES, TOO_MANY_VALUES, ListNode, MappingNode, Place, SourceFile

DEEPEST_NESTING = 16
NotYamlError = yaml.YAMLError

_NULLS = frozenset(("", "~", "null"))
_UNCLOSED = "did not find expected ',' or"
_LIBYAML_WORDS = {
    "could not find expected ':'": "a colon is missing after this key",
    "mapping values are not allowed in this context": "a colon where no key can stand: the indentation is wrong, "
    "or a text that holds ': ' needs quotes",
    "found unexpected ':'": "a colon where no key can stand; write a space after it",
    "did not find expected node content": "a value is missing before this",
    "did not find expected key": "the indentation does not fit the lines above",
    "did not find expected '-' indicator": "the indentation does not fit the list above",
    "did not find expected ',' or '}'": "a comma or '}' is missing",
    "did not find expected ',' or ']'": "a comma or ']' is missing",
    "found unexpected end of stream": "the quote opened here is never closed",
    "found character that cannot start any token": "this character cannot begin a value; quote the text",
    "did not find expected <document start>": "expected one mapping from the start of the file",
    "found unknown escape character": "unknown escape in double quotes; use single quotes for a literal backslash",
}


def read_yaml(source: SourceFile, most: int = MOST_VALUES) -> tuple[MappingNode | None, list[Problem]]:
    """The mapping a file holds, and what is wrong with its YAML; None where nothing useful is left.

    `most` is how many keys and values it may hold.
    """
    builder = _Builder(source, most)
    try:
        root = builder.build()
    except yaml.MarkedYAMLError as error:
        builder.report_syntax(error)
        return None, builder.problems
    if not isinstance(root, MappingNode):
        if not builder.problems:
            found = "a list" if isinstance(root, ListNode) else "an empty file" if root is None else "a single text"
            message = f"expected a mapping at the top, found {found}"
            builder.problems.append(Problem(Origin(source.name, 1, 1), "", message))
        return None, builder.problems
    return root, builder.problems


class _Stop(Exception):  # noqa: N818 - not an error: the problems found so far say enough
    """Reading on would not help the user."""


class _Builder:
    """Builds nodes from events with a stack of its own, so that nesting cannot exhaust Python's."""

    def __init__(self, source: SourceFile, most: int) -> None:
        self.source = source
        self.most = most
        self.problems: list[Problem] = []

    def build(self) -> Any:
        """The root node.

        Raises:
            yaml.MarkedYAMLError: not YAML.
        """
        try:
            return self._read_events()
        except _Stop:
            return None

    def _read_events(self) -> Any:
        next_event = _events(self.source)
        scalar, mapping_start, sequence_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
        mapping_end, sequence_end, stream_end = yaml.MappingEndEvent, yaml.SequenceEndEvent, yaml.StreamEndEvent
        items: list[Any] = []
        marks: list[Place] = []
        stack: list[tuple[list[Any], list[Place]]] = []
        documents, left = 0, self.most
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
                marks.append(event.start_mark.index)
                left -= 1
                if left < 0:
                    self._report(event, TOO_MANY_VALUES)
                    raise _Stop
                value = event.value
                items.append(value if event.style or value not in _NULLS else None)
                if event.anchor or event.tag:
                    self._refuse_features(event)
            elif kind is mapping_start or kind is sequence_start:
                marks.append(event.start_mark.index)
                stack.append((items, marks))
                items, marks = [], []
                if event.anchor or event.tag:
                    self._refuse_features(event)
                if len(stack) > DEEPEST_NESTING:
                    self._report(event, f"nested deeper than {DEEPEST_NESTING} levels")
                    raise _Stop
            elif kind is mapping_end:
                node: Any = self._mapping(items, marks)
                items, marks = stack.pop()
                items.append(node)
            elif kind is sequence_end:
                node = ListNode(items, self.source, len(self.source.marks))
                self.source.marks.extend(marks)
                items, marks = stack.pop()
                items.append(node)
            elif kind is stream_end:
                return items[0] if items else None
            elif kind is yaml.AliasEvent:
                marks.append(event.start_mark.index)
                items.append(None)
                self._report(event, "aliases (*) are not supported", "write the value out")
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._report(event, "a second document begins here", "a spec is one document: remove the '---'")
                    raise _Stop

    def _mapping(self, items: list[Any], marks: list[Place]) -> MappingNode:
        keys, values = items[::2], items[1::2]
        try:
            node = MappingNode(zip(keys, values, strict=True), self.source, len(self.source.marks))
        except TypeError:  # a mapping or list as a key is not hashable
            node = MappingNode((), self.source, 0)
        if len(node) == len(keys) and None not in node and "<<" not in node:
            self.source.marks.extend(marks)
            return node
        return self._mapping_without_bad_keys(keys, values, marks)

    def _mapping_without_bad_keys(self, keys: list[Any], values: list[Any], marks: list[Place]) -> MappingNode:
        first: dict[str, Place] = {}
        kept: dict[str, Any] = {}
        for key, value, at, value_at in zip(keys, values, marks[::2], marks[1::2], strict=True):
            if not isinstance(key, str):
                self._report_at(at, "a key must be text", "quote it")
            elif key == "<<":
                self._report_at(at, "merge keys (<<) are not supported", "write the keys out")
            elif key in first:
                self._report_at(
                    at, f"the key {key!r} is repeated", f"first written at {self.source.origin(first[key])}"
                )
            else:
                first[key] = at
                kept[key] = value
                self.source.marks.extend((at, value_at))
        return MappingNode(kept, self.source, len(self.source.marks) - 2 * len(kept))

    def _refuse_features(self, event: Any) -> None:
        if event.anchor:
            self._report(event, "anchors (&) are not supported", "write the value out where it is needed")
        if event.tag:
            self._report(event, "tags (!) are not supported", "quote the text if it begins with '!'")

    def _report(self, event: Any, message: str, hint: str = "") -> None:
        self._report_at(event.start_mark.index, message, hint)

    def _report_at(self, place: Place, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.source.origin(place), "", message, hint))
        if len(self.problems) >= MOST_PROBLEMS:
            raise _Stop

    def report_syntax(self, error: yaml.MarkedYAMLError) -> None:
        """What libyaml could not read, in the words of somebody who writes a spec."""
        words = str(error.problem or "not YAML")
        mark: Any = error.problem_mark
        if words == "found unexpected end of stream" or mark is None:
            mark = error.context_mark
        place = mark.index if mark else 0
        message, hint = _LIBYAML_WORDS.get(words, words), ""
        if self.source.text[place : place + 1] == "\t":
            message = "a tab where only spaces can stand"
        elif words.startswith(_UNCLOSED) and error.context_mark:
            opened: Any = error.context_mark
            hint = f"it was opened at {self.source.origin(opened.index)}"
        self.problems.append(Problem(self.source.origin(place), "", f"not valid YAML: {message}", hint))


def _events(source: SourceFile) -> Callable[[], Any]:
    """The next event of libyaml at each call; untyped, because which attributes an event has depends on its kind."""
    next_event: Callable[[], Any] = yaml.CSafeLoader(source.text).get_event
    return next_event


class Scalar(NamedTuple):
    """A scalar with what stands above it: keys from the top, its own place and those of all that holds it."""

    keys: tuple[str, ...]
    places: tuple[Place, ...]
    is_key: bool
    text: str
    start: tuple[int, int]
    end: tuple[int, int]


def read_scalars(source: SourceFile, last_line: int) -> Iterator[Scalar]:
    """Every scalar that begins no later than `last_line` (from 0), in order.

    Raises:
        NotYamlError: the file is not YAML up to there; what came before was yielded.
    """
    next_event = _events(source)
    # One frame for each open mapping or list: whether it is a mapping, its pending key, and its own place.
    frames: list[tuple[bool, str | None, Place]] = []
    while not isinstance(event := next_event(), yaml.StreamEndEvent):
        mark = event.start_mark
        if mark.line > last_line:
            return
        if isinstance(event, yaml.CollectionStartEvent):
            frames.append((isinstance(event, yaml.MappingStartEvent), None, mark.index))
            if len(frames) > DEEPEST_NESTING:  # libyaml takes quadratic time
                raise NotYamlError("nested too deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            frames.pop()
        elif isinstance(event, yaml.ScalarEvent):
            is_key = bool(frames) and frames[-1][0] and frames[-1][1] is None
            end: Any = event.end_mark
            yield Scalar(
                keys=tuple(key for _, key, _ in frames if key is not None),
                places=(*(place for _, _, place in frames), mark.index),
                is_key=is_key,
                text=event.value,
                start=(mark.line, mark.column),
                end=(end.line, end.column),
            )
            if is_key:
                frames[-1] = (True, event.value, frames[-1][2])
                continue
        if frames and isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            frames[-1] = (frames[-1][0], None, frames[-1][2])
