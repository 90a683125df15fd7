"""Sizes, durations, whole numbers, true and false."""

from __future__ import annotations

import functools
import re
from typing import Any

from mailctl.spec.values.text import kind_of, text_of

_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")
_USUAL_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT])i?B?", re.IGNORECASE)
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(text: Any) -> int:
    """Bytes from `512`, `10K`, `5M`, `2G`, `1T` (powers of 1024).

    Raises:
        ValueError: another spelling, or more than a signed 64-bit number holds.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    return _size_of(text_of(text, "a size"))


@functools.cache  # a hundred thousand mailboxes have a handful of quotas
def _size_of(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        usual = _USUAL_SIZE.fullmatch(text)
        meant = (
            f"did you mean {usual[1] + usual[2].upper()!r}?"
            if usual
            else "write bytes, or a number with K, M, G or T, such as '5G'"
        )
        raise ValueError(f"{text!r} is not a size; {meant}")
    size = int(match[1]) * _UNITS[match[2]]
    if size >= 2**62:
        raise ValueError(f"{text!r} is larger than any disk; write less than 4194304T")
    return size


def format_size(size: int) -> str:
    """The shortest spelling `parse_size` reads back to the same number of bytes."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def parse_duration(text: Any) -> int:
    """Seconds from `90s`, `30m`, `12h`, `180d`, `26w`.

    Raises:
        ValueError: another spelling.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _DURATION.fullmatch(text_of(text, "a duration"))
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number with s, m, h, d or w, such as '180d'")
    return int(match[1]) * _SECONDS[match[2]]


def parse_number(value: Any) -> int:
    """A whole number in decimal digits, without a leading zero (which would mean octal elsewhere)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"0|[1-9][0-9]{0,8}", value):
        raise ValueError(f"expected a whole number, found {kind_of(value)}")
    return int(value)


def parse_flag(value: Any) -> bool:
    """`true` or `false`; YAML's `yes` and `no` mean the same."""
    if isinstance(value, bool):
        return value
    if value in ("true", "yes"):
        return True
    if value in ("false", "no"):
        return False
    raise ValueError(f"expected true or false, found {kind_of(value)}")
