"""Which parts of a line belong to a secret, so that messages can show the rest."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable

from mailctl.spec.nodes import SourceFile, Span
from mailctl.spec.secrets import FORMS
from mailctl.spec.source import NotYamlError, Scalar, read_scalars
from mailctl.spec.table import TableFile

MASK = "********"
# A misspelt key hides its value as well as the right one does.
_SECRET_WORD = re.compile(r"pass|pwd|secret|hash|token|credential", re.IGNORECASE)
_LIKE = ("password", "passwd", "secret", "hash")
# What a secret refers to is no secret itself, and a wrong file name must be seen.
_REFERENCES = ("file", "env")
_WORD_BEFORE_VALUE = re.compile(r"([\w-]+)[\"']?\s*[:=\s]\s*")


@functools.cache
def is_secret_key(key: str) -> bool:
    """Whether the value under this key, as the user spelt it, may be a secret."""
    return bool(_SECRET_WORD.search(key) or difflib.get_close_matches(key.lower(), _LIKE, n=1, cutoff=0.7))


def prepare_masks(source: SourceFile, lines: Iterable[int]) -> None:
    """Find the secrets of these lines (from 0), reading the file once for all of them."""
    wanted = {line for line in lines if 0 <= line < len(source.lines)} - source.secret_spans.keys()
    if not wanted:
        return
    source.secret_spans.update({line: [] for line in wanted})
    if isinstance(source, TableFile):
        for line in wanted:
            source.secret_spans[line] = _table_spans(source, line)
        return
    last = 0
    try:
        for scalar in read_scalars(source, max(wanted)):
            last = scalar.end[0]
            if wanted.isdisjoint(range(scalar.start[0], last + 1)):
                continue
            if _is_secret(scalar, source):
                _add_spans(source, scalar)
    except NotYamlError:
        for line in wanted:
            if line >= last:
                source.secret_spans[line] = _rough_spans(source, line)


def masked_line(source: SourceFile, line: int, column: int) -> tuple[str, int]:
    """A line with each secret replaced, and where `column` (both from 0) is then."""
    prepare_masks(source, [line])
    text = source.lines[line]
    shown = column
    for start, end in reversed(source.secret_spans[line]):
        text = text[:start] + MASK + text[end:]
        if column >= end:
            shown += len(MASK) - (end - start)
        elif column > start:
            shown = start
    return text, min(shown, len(text))


def _is_secret(scalar: Scalar, source: SourceFile) -> bool:
    if not source.hidden.isdisjoint(scalar.places):
        return True
    secret_keys = [index for index, key in enumerate(scalar.keys) if is_secret_key(key)]
    if not secret_keys:
        return False
    below = scalar.keys[secret_keys[0] + 1 :]
    if scalar.is_key:
        return scalar.text not in FORMS
    return not (len(below) == 1 and below[0] in _REFERENCES)


def _add_spans(source: SourceFile, scalar: Scalar) -> None:
    (first, start), (last, end) = scalar.start, scalar.end
    for line in range(first, last + 1):
        text = source.lines[line] if line < len(source.lines) else ""
        span = (start if line == first else _indentation(text), end if line == last else len(text))
        if line in source.secret_spans and span[0] < span[1]:
            source.secret_spans[line].append(span)


def _rough_spans(source: SourceFile, line: int) -> list[Span]:
    """Where YAML ends nobody knows what belongs to what: hide all that follows a word like `password`.

    The lines above may have opened a secret that goes on here, so a line without a key of its own is hidden whole.
    """
    text = source.lines[line]
    for match in _WORD_BEFORE_VALUE.finditer(text):
        if is_secret_key(match[1]):
            return [(match.end(), len(text))] if match.end() < len(text) else []
    if ":" not in text and _follows_secret(source, line):
        return [(_indentation(text), len(text))]
    return []


def _follows_secret(source: SourceFile, line: int) -> bool:
    above = next((text for text in reversed(source.lines[:line]) if ":" in text), "")
    return any(is_secret_key(match[1]) for match in _WORD_BEFORE_VALUE.finditer(above))


def _table_spans(source: TableFile, line: int) -> list[Span]:
    header = [source.lines[0][start:end].strip('" ') for start, end in source.cells(0)]
    cells = source.cells(line)
    if line == 0:
        return []
    if len(cells) != len(header):
        return [(0, len(source.lines[line]))]
    return [cell for name, cell in zip(header, cells, strict=True) if name != "password_file" and is_secret_key(name)]


def _indentation(text: str) -> int:
    return len(text) - len(text.lstrip())
