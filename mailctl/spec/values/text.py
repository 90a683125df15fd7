"""Text on one line, names and paths; what every other value begins as."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def text_of(value: Any, what: str) -> str:
    """The value itself, known to be one line of printable text; `what` says in a message what was expected.

    Raises:
        ValueError: not text, empty, or with a control character.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected {what}, found {kind_of(value)}")
    if not value:
        raise ValueError(f"expected {what}, found nothing")
    if not value.isprintable():
        raise ValueError(f"{value!r} holds a control character")
    return value


def kind_of(value: Any) -> str:
    """What was found, for a message that says what was expected."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else repr(value)


def lower_first(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def matching(pattern: re.Pattern[str], what: str, example: str) -> Callable[[Any], str]:
    def parse(text: Any) -> str:
        value = text_of(text, what)
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}; write something like {example!r}")
        return value

    return parse


parse_name = matching(_NAME, "a name (lower-case letters, digits, hyphens)", "ses")


parse_parameter = matching(_PARAMETER, "a parameter name of postconf(5)", "smtpd_timeout")


def parse_line(text: Any) -> str:
    """One line of printable text, as the escape hatch and user names need it."""
    value = text_of(text, "a line of text")
    if value != value.strip():
        raise ValueError(f"{value!r} begins or ends with a space")
    return value


def parse_setting(text: Any) -> str:
    """One line of printable text, or the empty text: a parameter of main.cf may be set to nothing."""
    if text is None:
        raise ValueError('expected a line of text, found nothing; write "" to set it to nothing')
    return text if text == "" else parse_line(text)


def parse_path(text: str) -> PurePosixPath:
    """An absolute path without `..`, spaces or characters Postfix or Dovecot treat specially."""
    value = text_of(text, "a path")
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path")
    if not re.fullmatch(r"[A-Za-z0-9/._@+=-]+", value):
        raise ValueError(f"{value!r} holds a character other than letters, digits and ._@+=-/")
    if ".." in value.split("/"):
        raise ValueError(f"{value!r} climbs with '..'; write the path it means")
    return PurePosixPath(value)
