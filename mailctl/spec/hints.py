"""Small words for messages: paths and guesses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from mailctl.spec.origins import Path

# Guessing among more names takes longer than it helps.
MOST_NAMES = 5_000
LONGEST_QUOTE = 200
# As repr() quotes: the same quote at both ends, a backslash before what it escapes.
_QUOTED = r"(?:(?!\1)[^\\]|\\.)"
# Possessive: what is never given back need not be remembered, and a value may have megabytes.
_LONG_QUOTE = re.compile(rf"(['\"])({_QUOTED}{{150}}){_QUOTED}{{{LONGEST_QUOTE - 150},}}+\1")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt word; empty where nothing is close."""
    names = list(known)
    if len(names) > MOST_NAMES:
        return ""
    by_small_letters = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(word.lower(), by_small_letters, n=1)
    return f"did you mean {by_small_letters[close[0]]!r}?" if close else ""


def shortened(text: str) -> str:
    """`text` with what it quotes from the spec cut to a length somebody reads."""
    return _LONG_QUOTE.sub(r"\1\2...\1", text) if len(text) > LONGEST_QUOTE else text


def dotted(path: Path) -> str:
    """`routes[2].via` for ("routes", 2, "via")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
