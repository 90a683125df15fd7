"""pydantic's findings in the words of somebody who writes a spec: no class names, no types of Python, no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from mailctl.errors import Problem
from mailctl.spec.explain import keys_below, meaning, only_choice, schema_at
from mailctl.spec.hints import did_you_mean, dotted
from mailctl.spec.places import FilePlaces
from mailctl.spec.secrets import FORMS
from mailctl.spec.values.amounts import format_size

SpecPath = tuple[str | int, ...]

# More than anybody reads, and than are shown once they stand in the order of their lines.
MOST_FINDINGS = 1000

# Where a record holds one, what else stands there under a wrong key, or instead of the record, may be one too.
PASSWORD = "password"  # noqa: S105
_KEY = "[key]"
_FORM = re.compile(r"<\w+>")
_CHOICE = re.compile(r"'([^']*)'")
_WANTS_MAPPING = ("dict_type", "model_type", "mapping_type", "model_attributes_type")
_WANTS_LIST = ("tuple_type", "list_type")


def shape_problems(error: ValidationError, places: FilePlaces) -> Iterator[tuple[SpecPath, Problem]]:
    """One problem for each finding, with the path of the value it is about."""
    for each in error.errors(include_url=False, include_input=False)[:MOST_FINDINGS]:
        is_key = _KEY in each["loc"]
        path = tuple(part for part in each["loc"] if part != _KEY and not _FORM.fullmatch(str(part)))
        if each["type"] == "too_short" and places.value(path):
            continue  # not empty: pydantic counts only the items it could read
        yield path, _problem(each["type"], each["msg"], each.get("ctx", {}), path, is_key, places)


def _problem(
    kind: str, text: str, context: Mapping[str, Any], path: SpecPath, is_key: bool, places: FilePlaces
) -> Problem:
    if kind == "missing":
        return _missing(path, places)
    if kind == "extra_forbidden":
        return _unknown(path, places)
    value = places.value(path)
    if kind == "value_error" and isinstance(value, Mapping) and len(value) == 1 and not value.keys().isdisjoint(FORMS):
        origin = places.find((*path, *value))  # {file: name}: the name is what is wrong
    else:
        origin = places.find_key(path) if is_key else places.find(path)
    message, hint = _words(kind, text, context, path, value)
    if kind in _WANTS_MAPPING and PASSWORD in keys_below(schema_at(path) or {}):
        places.hide(path)
    return Problem(origin, dotted(path[:-1] if is_key else path), message, hint)


def _missing(path: SpecPath, places: FilePlaces) -> Problem:
    schema = schema_at(path)
    hint = _lower(meaning(schema)) if schema else ""
    if schema and (only := only_choice(schema)):
        hint = f"write `{path[-1]}: {only}`"
    return Problem(places.find(path), dotted(path[:-1]), f"missing key {str(path[-1])!r}", hint)


def _unknown(path: SpecPath, places: FilePlaces) -> Problem:
    key = str(path[-1])
    known = keys_below(schema_at(path[:-1]) or {})
    if PASSWORD in known:
        places.hide(path)
    hint = did_you_mean(key, known) or f"known keys here: {', '.join(known)}"
    return Problem(places.find_key(path), dotted(path[:-1]), f"unknown key {key!r}", hint)


def _words(kind: str, text: str, context: Mapping[str, Any], path: SpecPath, value: Any) -> tuple[str, str]:
    if kind == "value_error":
        return str(context["error"]), _hint_for_host(path, value)
    if kind in ("enum", "literal_error"):
        choices = _CHOICE.findall(str(context["expected"]))
        if len(choices) == 1:
            found = f"{value!r} is not {choices[0]}" if isinstance(value, str) else f"found {_found(value)}"
            return found, f"write `{path[-1]}: {choices[0]}`"
        if not isinstance(value, str):
            return f"expected one of {', '.join(choices)}, found {_found(value)}", ""
        return f"{value!r} is not one of {', '.join(choices)}", did_you_mean(value, choices)
    if kind in _WANTS_MAPPING:
        return f"expected a mapping, found {_found(value)}", _hint_for_mapping(path, value)
    if kind in _WANTS_LIST:
        return f"expected a list, found {_found(value)}", "write it in brackets: [...]" if value is not None else ""
    if kind == "too_short":
        return "the list is empty", "write at least one value, or remove the key"
    if kind == "greater_than_equal":
        return f"{value!r} is too small; at least {_limit(context['ge'], path)}", ""
    if kind == "less_than_equal":
        return f"{value!r} is too large; at most {_limit(context['le'], path)}", ""
    return _lower(text), ""


def _hint_for_mapping(path: SpecPath, value: Any) -> str:
    if value is None:
        return "write {} for an empty one, or remove the key"
    known = keys_below(schema_at(path) or {})
    return f"keys it may hold: {', '.join(known)}" if known else ""


def _hint_for_host(path: SpecPath, value: Any) -> str:
    """How to write a host where a name may stand too."""
    if not isinstance(value, str) or not {"host", "port"} <= keys_below(schema_at(path) or {}).keys():
        return ""
    host, _, port = value.partition(":")
    return f"for a host write {{host: {host}, port: {port or 25}}}" if "." in host else ""


def _limit(number: int, path: SpecPath) -> str:
    schema = schema_at(path) or {}
    return format_size(number) if schema.get("title") == "size" else str(number)


def _found(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else "a text"


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")
