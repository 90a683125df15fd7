"""The settings of the escape hatch one by one: parameters of main.cf, and the `-o` options of its services."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailctl.errors import Origin, Problem
from mailctl.spec.model import Spec

COMMAND_FIELD = 5  # of a master.cf line, after name and type

_BRACED = r"\{(?:[^{}]|\{[^{}]*\})*\}"  # Postfix itself knows no deeper nesting where it splits
_WORD = re.compile(rf"(?:{_BRACED}|\S)+")
_ITEM = re.compile(rf"(?:{_BRACED}|[^\s,])+")
_VERBOSE = re.compile(r"-v+")


@dataclass(frozen=True, slots=True)
class HatchSetting:
    """One parameter given a value by the spec; `path` is the key it stands below, `key` and `value` are its places."""

    name: str
    value: str
    path: str
    key: Origin
    place: Origin

    def problem(self, message: str, hint: str) -> Problem:
        """That it may not be there at all."""
        return Problem(self.key, self.path, message, hint=hint)

    def value_problem(self, message: str, hint: str) -> Problem:
        return Problem(self.place, self.path, message, hint=hint)


def hatch_settings(spec: Spec, *, with_services: bool = True) -> tuple[HatchSetting, ...]:
    """Every setting of `postfix:`; services must have all their fields."""
    return (*_parameters(spec), *(_options(spec) if with_services else ()))


def command(rest: str) -> str:
    """The daemon of a service, `rest` being its line after name and type."""
    return _words(rest)[COMMAND_FIELD]


def split_list(value: str) -> list[str]:
    """The items of a list in main.cf, separated by commas or white space; braces keep theirs together."""
    return [match[0] for match in _ITEM.finditer(value)]


def options(rest: str) -> Mapping[str, str]:
    """The `-o` options of a service."""
    return dict(_read_arguments(rest)[0])


def unreadable_options(rest: str) -> list[str]:
    """Options other than `-o` and `-v`: what they do to a daemon cannot be judged."""
    return _read_arguments(rest)[1]


def _parameters(spec: Spec) -> Iterator[HatchSetting]:
    for name, value in spec.postfix.main.items():
        path = ("postfix", "main", name)
        yield HatchSetting(name, value, ".".join(path), spec.origins.find_key(path), spec.origin(*path))


def _options(spec: Spec) -> Iterator[HatchSetting]:
    for key, rest in spec.postfix.master.items():
        path = ("postfix", "master", key)
        for name, value in options(rest).items():
            yield HatchSetting(name, value, ".".join(path), spec.origins.find_key(path), spec.origin(*path))


def _read_arguments(rest: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Options as getopt(3) reads them, up to the first argument that is none."""
    found, unknown = [], []
    words = iter(_words(rest)[COMMAND_FIELD + 1 :])
    for word in words:
        if word.startswith("-o"):
            name, separator, value = _unbraced(word.removeprefix("-o") or next(words, "")).partition("=")
            if separator:
                found.append((name.strip(), value.strip()))
            else:
                unknown.append(f"-o {name}".strip())
        elif not word.startswith("-"):
            break
        elif not _VERBOSE.fullmatch(word):
            unknown.append(word)
    return found, unknown


def _words(rest: str) -> list[str]:
    return [match[0] for match in _WORD.finditer(rest)]


def _unbraced(word: str) -> str:
    return word[1:-1].strip() if word.startswith("{") and word.endswith("}") else word
