"""The Jinja environment: templates lay out, Python decides.

Values reach a template as a frozen view of ready strings. Every string of a view is checked for
control characters before it is rendered, whatever the spec's own checks let through: in main.cf
a line feed opens a new parameter. (Checking the view, not the output of each expression, lets
macros return several lines.)
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

PACKAGE = Path(__file__).parent


class UnsafeValueError(ValueError):
    """A value holds a character that would change the structure of the rendered file."""


def render_template(name: str, view: object) -> bytes:
    """The template `name` (relative to templates/) filled from `view`, as UTF-8.

    Raises:
        UnsafeValueError: a value holds a line feed, NUL or another control character.
    """
    for text in _texts(view):
        refuse_control_characters(text)
    return _environment().get_template(name).render(view=view).encode()


def refuse_control_characters(text: str) -> str:
    """`text` itself; raises UnsafeValueError when a character of it is not printable."""
    if not text.isprintable():
        raise UnsafeValueError(f"a control character in {text!r} would change the structure of the file")
    return text


def join_lines(lines: Sequence[str], what: str) -> bytes:
    """A file of these lines, as UTF-8; for files of a hundred thousand lines, which no template has to lay out.

    Raises:
        UnsafeValueError: a line holds a control character; it may be a secret, so only `what` is named.
    """
    if not "".join(lines).isprintable():
        raise UnsafeValueError(f"a control character would change the structure of {what}")
    return "\n".join([*lines, ""]).encode()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _texts(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, int | float):
        raise TypeError(f"a view holds strings, numbers, tuples and mappings, not {type(value).__name__}")


class _CompiledBeside(FileSystemBytecodeCache):
    """Keeps compiled templates where Python keeps our compiled modules, and only where it may: beside the code.

    Who can write there can change the code itself, so what is read there is no less to be trusted.
    """

    def __init__(self) -> None:
        super().__init__(str(PACKAGE / "__pycache__"), "template-%s.cache")

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                super().dump_bytecode(bucket)


@functools.cache
def _environment() -> Environment:
    return Environment(  # configuration files, not HTML
        loader=FileSystemLoader(_templates_dir()),
        bytecode_cache=_CompiledBeside(),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _templates_dir() -> Path:
    """Beside the package in a checkout, inside it in a wheel."""
    inside = PACKAGE / "templates"
    return inside if inside.is_dir() else PACKAGE.parent / "templates"
