"""What `mailctl explain` and `mailctl schema` say comes from the model, for every key there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailctl.errors import UsageError
from mailctl.spec.explain import explain, json_schema, schema_at

EXAMPLE = Path(__file__).parents[3] / "examples/mail.yml"


def all_keys(key: str = "") -> Iterator[str]:
    for name, _ in explain(key).keys:
        below = f"{key}.{name}".strip(".")
        yield below
        yield from all_keys(below)


def test_a_quota_is_explained() -> None:
    found = explain("domains.mailboxes.quota")
    assert (found.type, found.default, found.example, found.is_required) == ("size", "null", "5G", False)
    assert "0 means no limit" in found.meaning
    assert "userdb_quota_rule" in found.renders


def test_defaults_are_spelt_as_in_a_spec() -> None:
    keys = ("server.message_size", "quota.warn", "tls.self_signed", "tls.profile", "domains.dkim.bits")
    assert [explain(key).default for key in keys] == ["50M", "[80, 95]", "false", "intermediate", "2048"]


def test_every_key_has_a_meaning_and_a_type() -> None:
    keys = list(all_keys())
    assert len(keys) > 50
    assert [key for key in keys if not (explain(key).meaning and explain(key).type)] == []


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("domains.example.org.mailboxes", "domains.mailboxes"),
        ("domains.*.dmarc", "domains.dmarc"),
        ("domains.example.org.aliases.team[1]", "domains.aliases"),
        ("domains.example.org.mailboxes.ali.quota", "domains.mailboxes.quota"),
        ("relays.ses.hosts[0]", "relays.hosts"),
        ("hosts.mx1.server.role", "server.role"),
        ("routes[2].via", "routes.via"),
    ],
)
def test_what_messages_call_a_key_is_explained(written: str, key: str) -> None:
    assert explain(written) == explain(key)
    assert explain(written).key == key


@pytest.mark.parametrize(
    ("written", "meant"), [("hostname", "server.hostname"), ("domains.mailbxes.quota", "mailboxes")]
)
def test_a_slip_is_no_name_of_the_users_own(written: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        explain(written)
    assert caught.value.hint == f"did you mean {meant!r}?"


def test_presets_are_listed_with_hosts_and_sources() -> None:
    notes = explain("relays.preset").notes
    assert any(note.startswith("amazon-ses: ") for note in notes)
    assert "  hosts: [smtp.sendgrid.net]:587" in notes
    assert sum(note.startswith("  source: https://") for note in notes) == len(explain("relays.preset").choices)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("domians", "did you mean 'domains'?"),
        ("domains.mailboxes.qouta", "did you mean 'quota'?"),
        ("send_as", "did you mean 'domains.mailboxes.send_as'?"),
        ("server.hostname.x", "did you mean 'server.hostname'?"),
    ],
)
def test_an_unknown_key_gets_a_suggestion(key: str, hint: str) -> None:
    with pytest.raises(UsageError, match="the spec has no key") as caught:
        explain(key)
    assert caught.value.hint == hint


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield path, value
    for key, below in items:
        yield from leaves(below, (*path, key))


def test_the_schema_knows_every_key_of_the_example_and_types_it_as_yaml_does() -> None:
    names = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean"}
    for path, value in leaves(yaml.safe_load(EXAMPLE.read_text())):
        schema = schema_at(path)
        assert schema is not None, path
        types = [kind for form in forms(schema) for kind in kinds(form)]
        if types:
            assert names[type(value)] in types, (path, types)


def forms(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alternatives of a schema, references followed."""
    if "$ref" in schema:
        return forms(json_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
    found = schema.get("anyOf") or schema.get("oneOf")
    return [form for each in found for form in forms(each)] if found else [schema]


def kinds(form: Mapping[str, Any]) -> list[str]:
    kind = form.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def test_the_schema_refuses_unknown_keys_and_names_the_needed_ones() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["version", "server", "tls"]
    assert "from" in schema["$defs"]["Route"]["properties"]
