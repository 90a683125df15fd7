"""No value can open another parameter, row, service or variable, whatever the schema let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailctl.components import postfix
from mailctl.components.postfix.cf import main_parameters
from mailctl.components.postfix.table import join_addresses
from mailctl.errors import SpecError
from mailctl.render import UnsafeValueError
from mailctl.spec.model import Spec
from mailctl.spec.values.secret import Secret
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

if TYPE_CHECKING:
    from tests.components.postfix.conftest import ScratchPostfix, SpecOf

CONTROL = ["a\nmynetworks = 0.0.0.0/0", "a\rb", "a\0b", "a\x1b[2Jb", "a\u2028b", "a\u202eb"]
SEPARATORS = [
    "a@x.example, root@y.example",
    "a@x.example b@x.example",
    "|/bin/sh",
    "/etc/passwd",
    ":include:/x",
    '"a b"@x',
    "a$b@x",
]


def bypassing_schema(spec: Spec, *path: str, value: Any) -> Spec:
    """`spec` with `value` put at `path` without any validation."""

    def put(record: Any, keys: tuple[str, ...]) -> Any:
        if not keys:
            return value
        if isinstance(record, dict):
            return record | {keys[0]: put(record.get(keys[0]), keys[1:])}
        return record.model_copy(update={keys[0]: put(getattr(record, keys[0]), keys[1:])})

    result = put(spec, path)
    assert isinstance(result, Spec)
    return result


def render(spec: Spec) -> Tree:
    return Tree.of(postfix.render(spec, DEBIAN_12))


@pytest.mark.parametrize("hostile", CONTROL)
@pytest.mark.parametrize(
    "path",
    [
        ("server", "hostname"),
        ("server", "trusted_networks", 0),
        ("tls", "key"),
        ("local_aliases", "root"),
        ("domains", "example.org", "catch_all"),
        ("domains", "example.org", "aliases", "info", 0),
        ("postfix", "main", "smtpd_timeout"),
        ("postfix", "master", "x/unix"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_control_characters_are_refused_by_the_renderer(path: tuple[Any, ...], hostile: str, spec_of: SpecOf) -> None:
    value: Any = hostile
    if path[-1] == 0:
        path, value = path[:-1], (hostile,)
    if path[-1] == "x/unix":
        value = f"- - n - - smtp {hostile}"
    with pytest.raises(UnsafeValueError):
        render(bypassing_schema(spec_of("full"), *path, value=value))


@pytest.mark.parametrize("hostile", CONTROL)
def test_a_password_cannot_open_a_row(hostile: str, spec_of: SpecOf) -> None:
    spec = spec_of("relays")
    with pytest.raises(UnsafeValueError):
        render(bypassing_schema(spec, "relays", "ses", "password", value=Secret(hostile, "file x")))


@pytest.mark.parametrize("hostile", [*CONTROL, "a b", "#a", '"a', ""])
def test_a_key_cannot_open_a_row(hostile: str, spec_of: SpecOf) -> None:
    aliases = {hostile: ("ali",)}
    with pytest.raises(UnsafeValueError):
        render(bypassing_schema(spec_of("full"), "local_aliases", value={hostile: "ali@example.org"}))
    if hostile:
        with pytest.raises(UnsafeValueError):
            render(bypassing_schema(spec_of("full"), "domains", "example.org", "aliases", value=aliases))


@pytest.mark.parametrize("hostile", ["/^a/ b@x\n/^.*$/", "/^a/b$/", "/^a b$/"])
def test_a_pattern_cannot_leave_its_slashes(hostile: str, spec_of: SpecOf) -> None:
    with pytest.raises(UnsafeValueError):
        render(bypassing_schema(spec_of("full"), "domains", "example.org", "aliases", value={hostile: ("ali",)}))


@pytest.mark.parametrize("hostile", SEPARATORS)
def test_an_address_is_one_address(hostile: str) -> None:
    with pytest.raises(UnsafeValueError):
        join_addresses(["ali@example.org", hostile])


@pytest.mark.parametrize("hostile", ["$mydomain", "${x?{y}}", "a$$b", "{{ 7*7 }}", "%s", "a;b"])
def test_a_value_is_never_expanded(hostile: str, spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    scratch.write(bypassing_schema(spec_of("full"), "server", "hostname", value=hostile))
    # `postconf -x` expands: what Postfix would see is what the spec says, to the letter.
    assert scratch.postconf("-x", "-h", "myhostname") == f"{hostile}\n"


def test_a_hostile_value_changes_itself_only(spec_of: SpecOf, scratch: ScratchPostfix) -> None:
    spec = spec_of("full")
    scratch.write(spec)
    before = main_parameters(scratch.postconf("-n"))
    scratch.write(bypassing_schema(spec, "server", "hostname", value="a b = c # , [x] {y}"))
    after = main_parameters(scratch.postconf("-n"))
    tables = "mailctl_tables"  # another directory, since a header of submitted mail names the host
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"myhostname", tables}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mynetworks", "server.trusted_networks"),
        ("smtpd_sasl_auth_enable", "domains.*.mailboxes"),
        ("relayhost", "routes"),
        ("smtpd_tls_protocols", "tls.profile"),
        ("smtpd_relay_restrictions", "docs/components/postfix.md"),
        ("mailctl_tables", "docs/components/postfix.md"),
        ("soft_bounce", "apply waits"),
    ],
)
def test_the_escape_hatch_repeats_no_managed_parameter(name: str, hint: str, spec_of: SpecOf) -> None:
    spec = bypassing_schema(spec_of("minimal"), "postfix", "main", name, value="x")
    with pytest.raises(SpecError) as caught:
        render(spec)
    (problem,) = caught.value.problems
    assert problem.path == f"postfix.main.{name}"
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("key", "rest"),
    [
        ("smtp/inet", "n - n - - smtpd"),
        ("submission/inet", "n - n - - smtpd"),
        ("relay/unix", "- - n - - smtp"),
        ("10025", "n - n - - smtpd"),
        ("x y/inet", "n - n - - smtpd"),
        ("x/tcp", "n - n - - smtpd"),
        ("x/unix", "- - n"),
    ],
)
def test_the_escape_hatch_repeats_no_managed_service(key: str, rest: str, spec_of: SpecOf) -> None:
    with pytest.raises(SpecError) as caught:
        render(bypassing_schema(spec_of("minimal"), "postfix", "master", key, value=rest))
    assert [problem.path for problem in caught.value.problems] == [f"postfix.master.{key}"]


def test_milters_are_free_where_nothing_is_signed(spec_of: SpecOf) -> None:
    milters = {"smtpd_milters": "inet:127.0.0.1:11332"}
    assert render(bypassing_schema(spec_of("minimal"), "postfix", "main", value=milters))
    with pytest.raises(SpecError) as caught:
        render(bypassing_schema(spec_of("full"), "postfix", "main", value=milters))
    assert "dkim" in caught.value.problems[0].hint
