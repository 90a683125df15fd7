"""Tells a spec with faults from a file that is no spec at all, such as a file of secrets somebody included."""

from __future__ import annotations

import difflib
import re
from itertools import islice

from mailctl.spec.model import Spec
from mailctl.spec.nodes import MappingNode, SourceFile
from mailctl.spec.table import COLUMNS, TableFile

KNOWN_KEYS = tuple(Spec.model_fields)

# Guessing costs time for each key; a spec has few.
_MOST_GUESSES = 20
_CLOSE = 0.8
_KEY_AT_MARGIN = re.compile(rf"^[-{{\"' ]{{0,2}}(?:{'|'.join(KNOWN_KEYS)})[\"']?[ \t]*:(?:\s|$)", re.MULTILINE)
_COLUMN = re.compile(rf"\b(?:{'|'.join(COLUMNS)})\b")


def is_foreign(source: SourceFile, root: MappingNode | None) -> bool:
    """Whether nothing in a file looks like a spec; `root` is what YAML made of it, None where it is broken."""
    if isinstance(source, TableFile):
        return not _COLUMN.search(source.lines[0])
    if not root:
        return not _KEY_AT_MARGIN.search(source.text)
    return root.keys().isdisjoint(KNOWN_KEYS) and not any(
        difflib.get_close_matches(key, KNOWN_KEYS, n=1, cutoff=_CLOSE) for key in islice(root, _MOST_GUESSES)
    )
