"""For every spec: the stock checkers print nothing, and each key looked up gives what the spec means."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailctl.components.postfix import routing
from mailctl.spec.choices import Role
from mailctl.spec.derive import alias_rows, null_senders, sender_owners, virtual_mailboxes
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.tree import Tree

if TYPE_CHECKING:
    from tests.components.postfix.conftest import ScratchPostfix

HASH = "{SHA512-CRYPT}$6$" + "x" * 86
DOMAINS = ("example.org", "example.net", "xn--bcher-kva.example")
MAILBOXES = ("ali", "bob.b", "c_d", "e-f", "g=h", "1234", "app")
# Every character a localpart may hold somewhere.
ALIASES = ("info", "a+b", "o'hara", "x#y", "a&b*c", "q?r", "s/t", "u^v", "{w}", "y`z", "x|y~", "mail=er")
PATTERNS = {"/^ticket-[0-9]+$/": "ticket-42", "/^(new|old)\\.[a-z]+$/": "old.news", "/^list\\+[a-z]+$/": "list+abc"}
OUTSIDE = ("carol@partner.example", "d'oh@elsewhere.example", "e+f@sub.elsewhere.example")
DESTINATIONS = ("partner.example", ".elsewhere.example", "boss@outlook.example", "10-0-0-1.example")
RELAYS = {
    "isp": {"hosts": ["[smtp.isp.example]:587", "mx.isp.example"], "tls": "encrypt"},
    "wrapped": {"hosts": ["[smtps.isp.example]:465"]},
    "preset": {"preset": "postmark"},
}


def subset(values: tuple[str, ...], smallest: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(tuple(values)), unique=True, min_size=smallest, max_size=len(values))


@st.composite
def domains(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in draw(subset(DOMAINS, 1)):
        boxes = draw(subset(MAILBOXES, 1))
        targets = st.lists(st.sampled_from((*boxes, *OUTSIDE)), min_size=1, max_size=3, unique=True)
        keys = draw(subset((*ALIASES, *PATTERNS)))
        found[name] = {
            "mailboxes": {box: draw(mailboxes(is_user=box == "app" and len(boxes) > 1)) for box in boxes},
            "aliases": {key: draw(targets) for key in keys},
            "catch_all": draw(st.sampled_from([None, boxes[0], OUTSIDE[0]])),
        }
    return found


@st.composite
def mailboxes(draw: st.DrawFn, is_user: bool) -> dict[str, Any]:
    kind = {"kind": "smtp-user", "deliver_to": [OUTSIDE[0]]} if is_user else {}
    return {"password": {"hash": HASH}, "null_sender": draw(st.sampled_from(["true", "false"])), **kind}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    via = st.sampled_from(["direct", *RELAYS, ["isp", "preset"], {"host": "10.0.0.5", "port": "26"}])
    routes = [{"to": [pattern], "via": draw(via)} for pattern in draw(subset(DESTINATIONS))]
    senders = draw(subset(("@example.org", "ali@example.net")))
    routes += [{"from": sender, "via": draw(via)} for sender in senders]
    return {
        "version": "1",
        "server": {
            "hostname": "mx1.example.com",
            "role": draw(st.sampled_from([Role.FULL, Role.FULL, *Role])),
            "trusted_networks": ["10.1.0.0/16"],
        },
        "tls": {"self_signed": "true", "profile": draw(st.sampled_from(["modern", "intermediate", "old"]))},
        "domains": draw(domains()),
        "local_aliases": draw(st.sampled_from([{}, {"root": OUTSIDE[1], "o'hara": OUTSIDE[2]}])),
        "relays": RELAYS,
        "routes": [*routes, {"via": draw(via)}],
    }


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=specs())
def test_every_spec_means_what_it_says(data: dict[str, Any], scratch_in: Callable[[Path], ScratchPostfix]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "spec.yml")
        file.write_text(json.dumps(data, ensure_ascii=False))
        spec = load_spec(file)
        scratch = scratch_in(Path(folder, "machine"))
        assert scratch.problems(spec) == []
        tree = scratch.write(spec)
        assert_tables(spec, scratch, tree)


def assert_tables(spec: Spec, scratch: ScratchPostfix, tree: Tree) -> None:
    tables = {file.name for file in tree if file.is_table}

    def found(table: str, expected: dict[str, str]) -> None:
        strangers = [f"not-{key.lstrip('@.[')}" for key in expected]
        answers = scratch.look_up(tree, table, *expected, *strangers) if table in tables else {}
        assert answers == expected, table

    aliases = {row.address: ", ".join(row.targets) for row in alias_rows(spec)}
    owners = {address: ", ".join(logins) for address, logins in sender_owners(spec).items()}
    boxes = dict.fromkeys(virtual_mailboxes(spec), "OK")
    if spec.server.role is Role.FULL:
        found("virtual_alias", aliases)
        found("virtual_mailbox", boxes)
        assert_patterns(spec, scratch, tree, "virtual_alias_pcre")
    if spec.server.role is Role.BACKUP_MX:
        found("relay_recipients", boxes | dict.fromkeys(aliases, "OK"))
        assert_patterns(spec, scratch, tree, "relay_recipients_pcre")
    if spec.server.role in (Role.FULL, Role.SEND_ONLY):
        assert scratch.look_up(tree, "sender_login", *owners) == owners
        found("null_sender", dict.fromkeys(null_senders(spec), "OK"))
    found("transport", dict(routing.recipient_routes(spec)))
    found("sender_transport", dict(routing.sender_routes(spec)))
    found("tls_policy", dict(routing.tls_policies(spec)))


def assert_patterns(spec: Spec, scratch: ScratchPostfix, tree: Tree, table: str) -> None:
    for domain, record in spec.domains.items():
        used = [PATTERNS[key] for key in record.aliases if key in PATTERNS]
        if not used:
            continue
        matching = [f"{localpart}@{domain}" for localpart in used]
        others = [f"x{address}" for address in matching] + [f"{address}.evil" for address in matching]
        others += [f"{localpart}@sub.{domain}" for localpart in used]
        assert set(scratch.look_up(tree, table, *matching, *others)) == set(matching)
