"""What a key of the spec means, from the model's own docs; and the JSON Schema of the spec for editors."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailctl.errors import UsageError
from mailctl.spec.choices import RelayPreset
from mailctl.spec.hints import did_you_mean
from mailctl.spec.model import Spec
from mailctl.spec.values.amounts import format_size

Schema = Mapping[str, Any]

_NUMBER = re.compile(r"\[\d+\]")
PRESET_KEY = "relays.preset"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One key: everything an administrator asks before writing it. `keys` are the ones below, with their meaning."""

    key: str
    type: str
    meaning: str
    is_required: bool = False
    default: str = ""
    renders: str = ""
    choices: tuple[str, ...] = ()
    example: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@functools.cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a spec; `renders` is ours, editors ignore it."""
    schema = Spec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "mailctl spec, version 1"}


def explain(key: str) -> Explanation:
    """The explanation of a dotted key such as `domains.mailboxes.quota`; names of your own may be left out.

    The empty key is the top of the spec.

    Raises:
        UsageError: no such key.
    """
    key, schema, is_required = _find(key)
    plain = _plain(schema)
    return Explanation(
        key=key,
        type=_type(schema),
        meaning=meaning(schema),
        is_required=is_required,
        default="" if is_required else _default(schema, plain),
        renders=schema.get("renders", ""),
        choices=tuple(plain.get("enum", ())) if key != "version" else (),
        example=", ".join(map(str, plain.get("examples", ()))),
        keys=tuple((name, meaning(each)) for name, each in keys_below(schema).items()),
        notes=tuple(_preset_lines()) if key == PRESET_KEY else (),
    )


def schema_at(path: tuple[str | int, ...]) -> Schema | None:
    """The schema of the value at a path of a spec, where names of the user's own stand as they are."""
    node: Schema | None = json_schema()
    for part in path:
        node = _step(node, part) if node is not None else None
    return node


def keys_below(schema: Schema) -> Mapping[str, Schema]:
    """The fixed keys of a mapping, or of each value of a mapping or list with names of the user's own."""
    for form in _forms(schema):
        if "properties" in form:
            properties: Mapping[str, Schema] = form["properties"]
            return properties
        inner = form.get("additionalProperties") or form.get("items")
        if isinstance(inner, Mapping):
            return keys_below(inner)
    return {}


def only_choice(schema: Schema) -> str:
    """The one value there is to write; empty where there are several."""
    choices = set(map(str, _plain(schema).get("enum", ())))
    return choices.pop() if len(choices) == 1 else ""


def _find(key: str) -> tuple[str, Schema, bool]:
    schema: Schema = json_schema()
    is_required = False
    known: list[str] = []
    parts = _NUMBER.sub("", key).split(".") if key else []
    if parts[:1] == ["hosts"]:
        parts = parts[2:] or parts  # what a host may override are keys of the spec
    while parts:
        below = keys_below(schema)
        if parts[0] in below:
            is_required = parts[0] in _holder(schema).get("required", ())
            known.append(parts[0])
            schema = below[parts.pop(0)]
        elif (rest := _after_own_name(schema, parts)) is not None:
            parts = rest
        else:
            hint = _tail(key) or did_you_mean(parts[0], below) or did_you_mean(key, _all_keys(json_schema(), ""))
            raise UsageError(
                f"the spec has no key {key!r}", hint=hint or f"known here: {', '.join(below) or 'nothing'}"
            )
    return ".".join(known), schema, is_required


def _after_own_name(schema: Schema, parts: list[str]) -> list[str] | None:
    """What follows a name of the user's own, as messages write it: a domain has dots, `*` stands for any.

    None where it could as well be a misspelt key.
    """
    if not any(isinstance(form.get("additionalProperties"), Mapping) for form in _forms(schema)):
        return None
    below = keys_below(schema)
    if not below:
        return []
    if did_you_mean(parts[0], below):
        return None
    following = next((parts[number:] for number in range(1, len(parts)) if parts[number] in below), None)
    is_name = len(parts) > 1 or parts[0] == "*"
    return [] if following is None and is_name else following


def _tail(key: str) -> str:
    """The hint for a key that lacks only what stands before it."""
    return next((f"did you mean {each!r}?" for each in _all_keys(json_schema(), "") if each.endswith(f".{key}")), "")


def _all_keys(schema: Schema, prefix: str) -> Iterator[str]:
    for name, below in keys_below(schema).items():
        yield f"{prefix}{name}"
        yield from _all_keys(below, f"{prefix}{name}.")


def _holder(schema: Schema) -> Schema:
    """The mapping that `keys_below` lists."""
    for form in _forms(schema):
        if "properties" in form:
            return form
        inner = form.get("additionalProperties") or form.get("items")
        if isinstance(inner, Mapping):
            return _holder(inner)
    return {}


def _step(schema: Schema, part: str | int) -> Schema | None:
    for form in _forms(schema):
        if isinstance(part, int):
            if "items" in form:
                items: Schema = form["items"]
                return items
        elif part in form.get("properties", ()):
            found: Schema = form["properties"][part]
            return found
        elif isinstance(form.get("additionalProperties"), Mapping):
            inner: Schema = form["additionalProperties"]
            return inner
    return None


def _forms(schema: Schema) -> Iterator[Schema]:
    """The alternatives of a schema, references followed, null left out."""
    if "$ref" in schema:
        yield from _forms(json_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema or "oneOf" in schema:
        for each in schema.get("anyOf") or schema["oneOf"]:
            yield from _forms(each)
    elif schema.get("type") != "null":
        yield schema


def _plain(schema: Schema) -> Schema:
    return next(_forms(schema), {})


def meaning(schema: Schema) -> str:
    """What the model says about a value, its type's words where it has none of its own."""
    return str(schema.get("description") or _plain(schema).get("description", ""))


def _type(schema: Schema) -> str:
    return " or ".join(dict.fromkeys(map(_type_of_form, _forms(schema))))


def _type_of_form(form: Schema) -> str:
    if "enum" in form:
        return f"one of {', '.join(map(str, form['enum']))}" if len(set(map(str, form["enum"]))) > 1 else form["title"]
    if form.get("type") == "array":
        return f"list of {_type(form['items'])}"
    inner = form.get("additionalProperties")
    if isinstance(inner, Mapping) and inner:
        return f"mapping of names to {_type(inner)}"
    if form.get("title") == "secret":
        return " or ".join(f"{{{key}: ...}}" for key in form["properties"])
    return "mapping" if form.get("type") == "object" else str(form.get("title", form.get("type", "")))


def _default(schema: Schema, plain: Schema) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return format_size(value) if plain.get("title") == "size" else str(value)


def _preset_lines() -> Iterator[str]:
    from mailctl.spec.presets import load_preset

    for name in RelayPreset:
        preset = load_preset(name)
        yield f"{name}: {preset.title}; tls {preset.tls}; SPF include {preset.spf_include or 'none'}"
        if preset.regions:
            yield f"  hosts by region: {', '.join(preset.regions)}"
        else:
            yield f"  hosts: {', '.join(map(str, preset.hosts)) or 'as your account says'}"
        yield from (f"  {note}" for note in preset.notes)
        yield f"  source: {preset.source}"
