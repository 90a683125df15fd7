"""Journeys from a spec alone: what a person reads, and that every line names the place that decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailctl.errors import Origin
from mailctl.route import Hop, Journey, Mail, RenderedServer, StepKind, differences, trace
from mailctl.route.text import render_differences, render_text
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12

HASH = "{SHA512-CRYPT}$6$I98QB7F0HNZ0gxVR$G/7elX3bnNouV8vUsUavBnv611L1zFhQARisJ.33LUsWmD2ntEBbTtCKUY6mXhQLrtL5qr"
FULL = f"""\
version: 1
server: {{hostname: mx1.example.org}}
tls:
  self_signed: true
  outbound: encrypt
  policies: {{partner.example: {{level: secure}}}}
quota: {{mailbox: 2G}}
domains:
  example.org:
    catch_all: bob
    dkim: {{selector: s1}}
    mailboxes:
      ali: {{password: {{hash: "{HASH}"}}, quota: 5G}}
      bob: {{password: {{hash: "{HASH}"}}}}
    aliases:
      info: [team]
      team: [ali, bob, carol@partner.example]
      "/^t-[0-9]+$/": [ali]
local_aliases: {{root: info@example.org}}
relays:
  one: {{hosts: ["[one.example]:587", "two.example"], tls: verify}}
  safe: {{hosts: ["[safe.example]:465"]}}
routes:
  - {{to: [.intra.example], via: {{host: 10.0.0.5, tls: none}}}}
  - {{to: [boss@partner.example], via: safe}}
  - {{from: "@example.org", via: one}}
  - {{via: safe}}
"""
BACKUP = """\
version: 1
server: {hostname: mx2.example.org, role: backup-mx}
tls: {self_signed: true}
domains: {example.org: {mailboxes: {ali: {}}, aliases: {"/^t-[0-9]+$/": [ali]}}}
"""
RELAY = """\
version: 1
server: {hostname: relay.example.org, role: relay, trusted_networks: [10.1.2.0/24]}
tls: {self_signed: true}
"""


def journey(tmp_path: Path, recipient: str, sender: str = "x@y.example", login: str = "", text: str = FULL) -> Journey:
    (tmp_path / "mail.yml").write_text(text)
    spec = load_spec(tmp_path / "mail.yml")
    return trace(spec, DEBIAN_12, RenderedServer(spec, DEBIAN_12), Mail(recipient, sender, login))


def ends(found: Journey) -> dict[str, str]:
    return {each.address: each.transport for each in found.deliveries}


LMTP = "lmtp:unix:private/dovecot-lmtp"


@pytest.mark.parametrize(
    ("recipient", "wanted"),
    [
        ("ali@example.org", {"ali@example.org": LMTP}),
        ("ali+tag@example.org", {"ali+tag@example.org": LMTP}),
        ("t-1@example.org", {"ali@example.org": LMTP}),
        ("t-1+x@example.org", {"bob@example.org": LMTP}),
        ("whoever@example.org", {"bob@example.org": LMTP}),
        ("info@example.org", {"ali@example.org": LMTP, "bob@example.org": LMTP, "carol@partner.example": "smtp:"}),
        (
            "info+x@example.org",
            {"ali+x@example.org": LMTP, "bob+x@example.org": LMTP, "carol+x@partner.example": "smtp:"},
        ),
        ("root@mx1.example.org", {"ali@example.org": LMTP, "bob@example.org": LMTP, "carol@partner.example": "smtp:"}),
        ("daemon@mx1.example.org", {"daemon@mx1.example.org": "local:mx1.example.org"}),
    ],
)
def test_where_mail_from_outside_ends(recipient: str, wanted: dict[str, str], tmp_path: Path) -> None:
    text = FULL.replace("  - {via: safe}\n", "  - {via: direct}\n")
    found = journey(tmp_path, recipient, text=text)
    assert found.is_accepted
    assert ends(found) == wanted


def test_a_user_of_the_machine_is_a_condition(tmp_path: Path) -> None:
    (condition,) = (
        step
        for step in journey(tmp_path, "daemon+x@mx1.example.org").steps
        if step.kind is StepKind.CONDITION and "machine" in step.says
    )
    assert condition.says == "provided that the machine has the user daemon; else 550"
    assert not any("machine has" in step.says for step in journey(tmp_path, "root@mx1.example.org").steps)


@pytest.mark.parametrize(
    ("recipient", "sender", "wanted"),
    [
        ("a@x.intra.example", "ali@example.org", (Hop("[10.0.0.5]:25", "none"),)),
        ("boss@partner.example", "ali@example.org", (Hop("[safe.example]:465", "encrypt"),)),
        ("a@z.example", "ali@example.org", (Hop("[one.example]:587", "verify"), Hop("two.example:25", "verify"))),
        ("a@z.example", "<>", (Hop("[safe.example]:465", "encrypt"),)),
        ("a@intra.example", "<>", (Hop("[safe.example]:465", "encrypt"),)),
    ],
)
def test_relays_and_tls_in_order(recipient: str, sender: str, wanted: tuple[Hop, ...], tmp_path: Path) -> None:
    """`to` before `from` before the default; a dot means subdomains only; the null sender has no route of its own."""
    (delivery,) = journey(tmp_path, recipient, sender, "ali@example.org").deliveries
    assert delivery.hops == wanted


def test_a_policy_of_the_recipients_domain_counts_where_no_relay_does(tmp_path: Path) -> None:
    text = FULL.replace("  - {via: safe}\n", "")
    (delivery,) = journey(tmp_path, "a@partner.example", "<>", "ali@example.org", text).deliveries
    assert delivery.hops == (Hop("partner.example", "secure"),)
    (other,) = journey(tmp_path, "a@other.example", "<>", "ali@example.org", text).deliveries
    assert other.hops == (Hop("other.example", "encrypt"),)


@pytest.mark.parametrize(
    ("recipient", "sender", "login", "reply"),
    [
        ("a@z.example", "x@y.example", "", "554 5.7.1"),
        ("ali@example.org", "nobody@mx1.example.net", "", ""),
        ("a@z.example", "bob@example.org", "ali@example.org", "553 5.7.1"),
        ("a@z.example", "team@example.org", "ali@example.org", ""),
        ("a@z.example", "x@y.example", "ali@example.org", "553 5.7.1"),
        ("a@z.example", "whoever@example.org", "bob@example.org", "553 5.7.1"),
        ("a@z.example", "<>", "ali@example.org", "554 5.7.1"),
        ("a@z.example", "zoe@example.org", "zoe@example.org", "535 5.7.8"),
    ],
)
def test_who_may_send(recipient: str, sender: str, login: str, reply: str, tmp_path: Path) -> None:
    assert journey(tmp_path, recipient, sender, login).reply == reply


def test_only_submitted_mail_is_signed(tmp_path: Path) -> None:
    assert (
        journey(tmp_path, "a@z.example", "ali@example.org", "ali@example.org").signed_by == "s1._domainkey.example.org"
    )
    assert journey(tmp_path, "ali@example.org", "ali@example.org").signed_by == ""


def test_the_mailbox_quota_is_told_in_bytes(tmp_path: Path) -> None:
    (own,) = journey(tmp_path, "ali@example.org").deliveries
    (default,) = journey(tmp_path, "bob+x@example.org").deliveries
    assert (own.quota, default.quota) == (5 * 2**30, 2 * 2**30)


def test_roles(tmp_path: Path) -> None:
    known = journey(tmp_path, "t-1@example.org", text=BACKUP)
    assert known.is_accepted
    assert ends(known) == {"t-1@example.org": "relay"}
    assert journey(tmp_path, "zoe@example.org", text=BACKUP).reply == "550 5.1.1"
    assert journey(tmp_path, "a@z.example", text=RELAY).reply == "554 5.7.1"
    assert journey(tmp_path, "a@z.example", "a@b.example", "a@b.example", RELAY).reply == "535 5.7.8"


def test_each_line_names_its_place(tmp_path: Path) -> None:
    found = journey(tmp_path, "info@example.org", "bob@example.org", "bob@example.org")
    lines = FULL.splitlines()
    placed = [(step.kind, lines[step.origin.line - 1].strip()) for step in found.steps if step.origin]
    assert (StepKind.SIGNATURE, "dkim: {selector: s1}") in placed
    assert (StepKind.ALIAS, "info: [team]") in placed
    assert (StepKind.ALIAS, "team: [ali, bob, carol@partner.example]") in placed
    assert (StepKind.CLASS, "example.org:") in placed
    assert (StepKind.TRANSPORT, '- {from: "@example.org", via: one}') in placed
    assert (StepKind.RELAY, 'one: {hosts: ["[one.example]:587", "two.example"], tls: verify}') in placed
    assert (StepKind.QUOTA, "quota: {mailbox: 2G}") in placed


def test_a_default_that_nobody_wrote_has_no_place(tmp_path: Path) -> None:
    text = FULL.replace("quota: {mailbox: 2G}\n", "")
    (step,) = [each for each in journey(tmp_path, "bob@example.org", text=text).steps if each.kind is StepKind.QUOTA]
    assert (step.says, step.origin) == ("no limit for the mailbox", None)


def test_text_has_a_block_per_address(tmp_path: Path) -> None:
    text = render_text(journey(tmp_path, "nobody@z.example"))
    assert text.startswith("nobody@z.example\n  refused    554 5.7.1: relay access denied")
    assert "\n  Were it taken:\n  class      z.example is hosted elsewhere\n" in text
    assert "[safe.example]:465, TLS encrypt" in text


def test_differences_stand_side_by_side(tmp_path: Path) -> None:
    spec = journey(tmp_path, "info@example.org")
    (tmp_path / "old").mkdir()
    server = journey(tmp_path / "old", "info@example.org", text=FULL.replace("info: [team]", "info: [ali]"))
    found = differences(spec, server)
    alias = next(each for each in found if each.address == "info@example.org")
    assert (alias.spec, alias.server) == ("becomes team@example.org", "becomes ali@example.org")
    assert alias.origin == Origin(str(tmp_path / "mail.yml"), 16, 7)
    text = render_differences(found)
    assert "info@example.org, alias: the server differs\n  spec       becomes team@example.org" in text
    assert "\n  server     nothing of the kind" in text
    assert differences(spec, spec) == []
