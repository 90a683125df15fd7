"""Whatever bytes a value of a spec holds, it is refused, or the services read back that one value and nothing else.

Every value and every name of a spec that uses every key takes its turn. What is accepted is rendered and read back
with the services' own programs: it must be what the harmless spec means, with the one value put for another.
Some thousand cases by default; MAILCTL_INJECTION_CASES asks for more, MAILCTL_INJECTION_SEED for others.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from mailctl.components.registry import render_tree
from mailctl.errors import SpecError
from mailctl.host import LocalHost
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.spec.values.secret import Secret
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree
from tests.property.parsed_back import Reader, RefusedByServiceError, as_read, substituted, unescaped

CASES = int(os.environ.get("MAILCTL_INJECTION_CASES", "3000"))
SEED = int(os.environ.get("MAILCTL_INJECTION_SEED", "8"))

HASH = "{SHA512-CRYPT}$6$" + "q" * 80
# Every text is unlike every other, so that one can be put for another in whatever is rendered.
BASE: dict[str, Any] = {
    "version": "1",
    "server": {
        "hostname": "qhostq.qzoneq.example",
        "role": "full",
        "trusted_networks": ["10.97.0.0/16"],
        "addresses": ["192.0.2.97"],
        "message_size": "77777777",
    },
    "tls": {
        "certificate": "/etc/ssl/qcertq.pem",
        "key": "/etc/ssl/qkeyq.pem",
        "profile": "intermediate",
        "outbound": "may",
        "policies": {"qpolicyq.example": {"level": "secure", "match": ["qmatchq.example"]}},
        "sni": {"qsniq.example": {"certificate": "/etc/ssl/qsnicertq.pem", "key": "/etc/ssl/qsnikeyq.pem"}},
    },
    "quota": {"mailbox": "5555555555", "warn": ["71", "93"]},
    "domains": {
        "qdomainq.example": {
            "quota": "66666666666",
            "dmarc": "quarantine",
            "dkim": {"selector": "qselectorq", "bits": "2048", "rotate": "180d"},
            "mailboxes": {
                "qfirstq": {"password": {"hash": HASH + "first"}},
                "qboxq": {"password": {"file": "box"}, "quota": "4444444444", "send_as": ["qsendasq"]},
                "quserq": {
                    "password": {"hash": HASH + "user"},
                    "kind": "smtp-user",
                    "deliver_to": ["qdeliverq@qoutq.example"],
                    "null_sender": "true",
                },
            },
            "aliases": {
                "qaliasq": ["qtargetq@qout2q.example", "qtarget3q@qout8q.example"],
                "qsendasq": ["qtarget4q@qout7q.example"],
                "/^qpatternq-[0-9]+$/": ["qtarget2q@qout3q.example"],
            },
        },
        "qdomain2q.example": {"catch_all": "qcatchq@qout4q.example"},
    },
    "local_aliases": {"qlocalq": "qlocaltargetq@qout5q.example"},
    "relays": {
        "qrelayq": {
            "hosts": ["[qhopq.example]:5871", "qmxq.example"],
            "tls": "encrypt",
            "username": "qloginq",
            "spf_include": "qspfq.example",
            "password": {"file": "relay"},
        },
        "qpresetq": {"preset": "amazon-ses", "region": "eu-west-1", "username": "qsesq", "password": {"file": "ses"}},
    },
    "routes": [
        {
            "to": ["qtoq.example", ".qtodotq.example"],
            "via": {"host": "qinternalq.example", "port": "2527", "tls": "may"},
        },
        {"to": ["qpersonq@qto2q.example"], "via": "qrelayq"},
        {"from": "qfromq@qfromdomainq.example", "via": ["qpresetq"]},
        {"via": "direct"},
    ],
    "postfix": {
        "main": {"bounce_notice_recipient": "qhatchq"},
        "master": {"qservq/unix": "- - n - - smtp -o smtp_helo_name=qservoptq.example"},
    },
    "dns": {
        "dmarc": "reject",
        "reports": "qreportq@qout9q.example",
        "mta_sts": "testing",
        "blocklists": ["qlistq.example"],
    },
    "hosts": {"qhostnameq": {"server": {"message_size": "88888888"}}},
    "include": ["qincludeq.yml"],
}
SECRETS = {"box": HASH + "box", "relay": "qpasswordq", "ses": "qpassword2q"}

PAYLOADS = (
    "\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\u202e", "\ufeff", "\x1b[2J", "\ud800", "\u200b", "\uff0e", "\u00e9",
    "\u0131", "\nmynetworks = 0.0.0.0/0", "\n  0.0.0.0/0", " 0.0.0.0/0", ", 0.0.0.0/0", "#", "# x", ";", "; x",
    "|/bin/sh", "|sh", ":include:/etc/passwd", "/etc/passwd", "$mydomain", "${mydomain}", "$$", "${x?{y}}", "$(id)",
    "`id`", "{{ 7*7 }}", "{% x %}", "%u", "%{user}", "%s", "%n", "\\", "\\n", "\\1", "'", '"', "'''", "\t", " ", "  ",
    "a b", "@", "@x.example", "@@", "!", "!x", "%x", "=", " = ", ":", "::", ":x:", ",", ", x", "x, y@z.example", "<",
    "</etc/passwd", ">", "<>", "[", "]", "[::1]:25", "(", ")", "*", ".", "..", "../x", "./", "-", "-o x=y", "--", "+",
    "+x", "{", "}", "{ x, y }", "&", "^", "$", "~", "?", "x" * 70, "x" * 300, "0", "-1", "1e9", "0x10", "007",
    "65536", "99999999999999999999", "inf", "0.0.0.0/0", "::/0", "reject", "OK", "nobody", "localhost",
    "mailctl_tables", "unix:/x", "inet:1", "lmtp:unix:x", "smtp:[x]", "hash:/x", "pcre:/x", "texthash:/x", "if /x/",
    "endif", "/x/ OK", "null", "~", "true", "yes", "no", "[]", "{}", "include", "!include x", "&a", "*a", "<<", "---",
    "local_name x {", "}\npassdb {", "userdb_uid=0", " userdb_uid=0", "::::::userdb_uid=0", "passwd", "root",
    "REJECT", "FILTER x:y", "DISCARD", "xn--", "xn--a.example",
)  # fmt: skip

MOST_SHOWN = 20
SWITCH = ("True", "False")

SpecPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Field:
    """A place for hostile text: a value, a name, or the content of a secret file."""

    path: SpecPath
    is_key: bool = False
    secret: str = ""


def fields(node: Any, path: SpecPath = ()) -> Iterator[Field]:
    """Every name and every value of a spec."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield Field((*path, key), is_key=True)
            yield from fields(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from fields(value, (*path, index))
    else:
        yield Field(path)


FIELDS = (*fields(BASE), *(Field((), secret=name) for name in SECRETS))


def with_text(node: Any, path: SpecPath, field: Field, text: str) -> Any:
    """`BASE` with hostile text at one place; the order of keys stays."""
    if isinstance(node, dict):
        return {
            (text if field.is_key and (*path, key) == field.path else key): with_text(value, (*path, key), field, text)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [with_text(value, (*path, index), field, text) for index, value in enumerate(node)]
    return text if path == field.path and not field.is_key else node


def original(field: Field) -> str:
    if field.secret:
        return SECRETS[field.secret]
    if field.is_key:
        return str(field.path[-1])
    value: Any = BASE
    for part in field.path:
        value = value[part]
    return str(value)


def hostile(random_: random.Random, benign: str) -> str:
    """A payload alone, in the middle of a harmless value, at its ends, or characters at random; patterns stay some."""
    if benign.startswith("/^"):
        return f"/^{hostile(random_, benign[2:-2])}$/"
    match random_.randrange(6):
        case 0:
            return random_.choice(PAYLOADS)
        case 1:
            return benign + random_.choice(PAYLOADS)
        case 2:
            return random_.choice(PAYLOADS) + benign
        case 3:
            cut = random_.randrange(len(benign) + 1)
            return benign[:cut] + random_.choice(PAYLOADS) + benign[cut:]
        case 4:
            # Printable ASCII punctuation is where the grammars of the services are.
            cut = random_.randrange(len(benign) + 1)
            return benign[:cut] + chr(random_.randrange(32, 127)) + benign[cut + 1 :]
        case _:
            return "".join(chr(random_.choice((random_.randrange(256), random_.randrange(32, 127)))) for _ in range(8))


def leaves(value: Any) -> Iterator[str]:
    """Every name and value of a typed spec as text, in order."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from leaves(getattr(value, name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(key)
            yield from leaves(item)
    elif isinstance(value, tuple | list):
        yield f"{len(value)} items"
        for item in value:
            yield from leaves(item)
    elif isinstance(value, Secret):
        yield value.value
    else:
        yield str(value.value if isinstance(value, Enum) else value)


def as_rendered(text: str) -> str:
    """A pattern over localparts becomes one over addresses: without its slashes and anchors."""
    return unescaped(text.removeprefix("/^").removesuffix("$/")) if text.startswith("/^") else text


def says_something_else(field: Field, text: str) -> bool:
    """Words with a meaning of their own: nothing was injected, another thing was said."""
    if field.is_key:
        return field.path[:1] == ("local_aliases",) and text in ("root", "postmaster")
    if "quota" in field.path:
        return text == "0"
    return "send_as" in field.path and "+" in text


def parent(field: Field) -> Any:
    """The part of the spec that holds the field."""
    found: Any = BASE
    for part in field.path[:-1]:
        found = found[part]
    return found


class Trial:
    """Loads, renders and reads back one spec after the other, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scratch").mkdir()
        (folder / "qincludeq.yml").write_text("domains: {}")
        self.written: dict[str, str] = {}
        self.reader = Reader(LocalHost(), folder / "scratch")
        self.base = self.load(BASE, SECRETS)
        self.base_records = self.reader.records(render_tree(self.base, DEBIAN_12))

    def load(self, data: Any, secrets: dict[str, str]) -> Spec:
        for name, content in secrets.items():
            if self.written.get(name) != content:
                (self.folder / name).write_bytes(content.encode(errors="surrogatepass"))
        self.written = secrets
        spec_file = self.folder / "mail.yml"
        spec_file.write_text(json.dumps(data))
        return load_spec(spec_file)

    def run(self, field: Field, text: str) -> str:
        """`refused`, `same`, or `accepted`; AssertionError where something else changed than the one value."""
        if field.is_key and text in parent(field):
            return "same"  # as JSON has it; that the same name twice is refused has a test of its own
        secrets = SECRETS | {field.secret: text} if field.secret else SECRETS
        try:
            spec = self.load(with_text(BASE, (), field, text), secrets)
            tree = render_tree(spec, DEBIAN_12)
        except SpecError:
            return "refused"
        change = self.typed_change(spec)
        if change is None or says_something_else(field, change[1]):
            return "same"
        try:
            records = self.reader.records(tree)
        except RefusedByServiceError:
            # Only the escape hatch holds words of Postfix's own, which its checkers judge before an apply.
            if field.path[:1] != ("postfix",):
                raise
            return "refused"
        before, after = change
        if field.path[:1] == ("hosts",):
            before = after = ""  # of another host: nothing here may change
        assert records.keys() == {name.replace(before, after) for name in self.base_records}
        for name, base in self.base_records.items():
            found, wanted = as_read(records[name.replace(before, after)]), substituted(base, before, after)
            assert found == wanted, f"{name}: found {found - wanted}, wanted {wanted - found}"
        return "accepted"

    def typed_change(self, spec: Spec) -> tuple[str, str] | None:
        """The one value that differs between the harmless spec and `spec`, before and after."""
        ours, theirs = list(leaves(self.base)), list(leaves(spec))
        assert len(ours) == len(theirs)
        changes = {pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]}
        assert len(changes) <= 1, changes
        for before, after in changes:
            # A switch that is flipped means another structure: nothing was injected, another thing was said.
            return None if before in SWITCH else (as_rendered(before), as_rendered(after))
        return None


@pytest.fixture
def trial(tmp_path: Path, require_tools: Callable[..., None]) -> Trial:
    require_tools("postconf", "postmap", "postalias", "doveconf")
    return Trial(tmp_path)


@pytest.mark.timeout(max(300, CASES // 10))
def test_a_hostile_value_is_refused_or_changes_itself_only(trial: Trial) -> None:
    random_ = random.Random(SEED)  # noqa: S311 - repeatable cases, not secrets
    outcomes = {"refused": 0, "same": 0, "accepted": 0}
    faults: list[str] = []
    for number in range(CASES):
        field = random_.choice(FIELDS)
        text = hostile(random_, original(field))
        try:
            outcomes[trial.run(field, text)] += 1
        except Exception as error:
            faults.append(f"case {number} of seed {SEED}: {field} = {text!r}: {type(error).__name__}: {error}")
    assert not faults, "\n".join([f"{len(faults)} of {CASES} cases", *faults[:MOST_SHOWN]])
    assert outcomes["accepted"] > CASES // 50, outcomes
    assert outcomes["refused"] > CASES // 3, outcomes


def test_every_key_of_the_spec_takes_its_turn() -> None:
    """A key that is added to the model must be added to the harmless spec."""
    written = {str(part) for field in FIELDS for part in field.path}
    keys = {field.alias or name for model in models(Spec) for name, field in model.model_fields.items()}
    assert keys - written == {"self_signed"}, "which only takes the place of a certificate"


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and those its fields hold."""
    found = {model}
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            kind = waiting.pop()
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= models(kind)
            waiting.extend(get_args(kind))
    return found


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("main.cf", b"myhostname = ", b"soft_bounce = yes\nmyhostname = "),
        ("main.cf", b"10.97.0.0/16", b"10.97.0.0/16, 0.0.0.0/0"),
        ("master.cf", b"-o smtpd_tls_wrappermode=yes", b"-o smtpd_tls_wrappermode=yes -o mynetworks=0.0.0.0/0"),
        ("virtual_alias", b"qcatchq@qout4q.example", b"qcatchq@qout4q.example, x@y.example"),
        ("virtual_alias_pcre", b"endif", b"/^x@y.example$/ z@y.example\nendif"),
        ("transport", b"qtoq.example ", b"x.example smtp:[y]\nqtoq.example "),
        ("relay_passwords", b":qpasswordq", b":q"),
        ("aliases", b"qlocalq: ", b"x: |sh\nqlocalq: "),
        ("dovecot.conf", b"auth_mechanisms = plain", b"auth_mechanisms = anonymous plain"),
        ("mailctl.users", b"userdb_quota_rule", b"userdb_uid=0 userdb_quota_rule"),
        ("mailctl.smtp-users", b"::::::", b":0:0::::"),
        ("SigningTable", b"qselectorq._domainkey", b"x._domainkey"),
        ("mailctl-quota-warning", b"qhostq.qzoneq", b"$(id)qzoneq"),
    ],
)
def test_the_oracle_sees_what_is_slipped_in(name: str, old: bytes, new: bytes, trial: Trial) -> None:
    files = list(render_tree(trial.base, DEBIAN_12))
    (tampered,) = [file for file in files if file.path.name == name]
    assert old in tampered.content
    others = [file for file in files if file.path != tampered.path]
    records = trial.reader.records(Tree.of([*others, replace(tampered, content=tampered.content.replace(old, new))]))
    changed = [path for path, found in records.items() if as_read(found) != as_read(trial.base_records[path])]
    assert [Path(path).name for path in changed] == [name]
