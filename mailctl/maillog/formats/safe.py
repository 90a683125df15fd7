"""Text of strangers made harmless: for terminals, spreadsheets, metric labels, JSON."""

from __future__ import annotations

import json

# A spreadsheet takes a cell that begins like this for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def printable(text: str) -> str:
    """`text` with each character that is not printable (ESC, CR, bidi overrides, stray bytes) written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def shortened(text: str, width: int) -> str:
    """Printable `text` in at most `width` columns; an ellipsis stands for what was cut."""
    text = printable(text)
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def csv_cell(value: str | float | int | None) -> str | float | int:
    """A cell no spreadsheet evaluates: text that begins like a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def label(value: str) -> str:
    """A label value of the Prometheus text format, quotes included."""
    escaped = printable(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def to_json(data: object, indent: int | None = None) -> str:
    """ASCII only, so that it is harmless on a terminal too; undecodable bytes are written as escapes."""
    return json.dumps(_valid_unicode(data), indent=indent)


def _valid_unicode(value: object) -> object:
    """`value` with strings that have no lone surrogates, which not every parser takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_valid_unicode(key): _valid_unicode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_valid_unicode(item) for item in value]
    return value
