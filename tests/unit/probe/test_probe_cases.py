"""The checks as data: they load, name people that exist, and can be chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailctl.errors import UsageError
from mailctl.probe import select_checks, suite
from mailctl.probe.case import FOLDER, load_family
from mailctl.probe.families.delivery import Router
from mailctl.probe.subject import MISSING, choose_subject, probe_logins
from mailctl.spec.derive import sender_owners
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12

HASH = "{SHA512-CRYPT}$6$0123456789abcdef$" + "a" * 86
SPEC = f"""
version: 1
server: {{hostname: mx1.example.org}}
tls: {{self_signed: true}}
domains:
  example.org:
    mailboxes:
      ali: {{password: {{hash: "{HASH}"}}, send_as: [info]}}
      bob: {{password: {{hash: "{HASH}"}}}}
      app: {{password: {{hash: "{HASH}"}}, kind: smtp-user, null_sender: true}}
    aliases:
      info: [ali]
      sales: [bob]
      team: [ali, bob, carol@partner.example]
      boss: [team]
  example.net:
    catch_all: shop
    mailboxes:
      shop: {{password: {{hash: "{HASH}"}}}}
local_aliases: {{root: ali@example.org, postmaster: bob@example.org}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    (tmp_path / "mail.yml").write_text(SPEC)
    return load_spec(tmp_path / "mail.yml")


def test_every_name_of_every_dialogue_is_somebody(spec: Spec) -> None:
    """A misspelt name would skip its check for ever."""
    subject = choose_subject(spec, {}, suite.SANDBOX_WORLD)
    for path in FOLDER.glob("*.yml"):
        for check in load_family(path):
            used = check.attempts.__self__.used_names  # type: ignore[attr-defined] # the bound method of a Case
            assert used - set(subject.names) == set(), check.name


def test_every_check_has_a_name_a_claim_and_a_remedy_of_its_own() -> None:
    checks = select_checks()
    assert len({check.name for check in checks}) == len({check.claim for check in checks}) == len(checks)
    assert all(check.remedy for check in checks)
    assert {check.family for check in checks} == {
        "relay", "auth", "identity", "smuggling", "tls", "enumeration", "delivery", "signing", "closed"
    }  # fmt: skip


def test_a_broken_case_is_a_fault_of_the_data(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text('remedy: none\ntransports: ["25"]\ncases: {one: {claim: c, dialogue: "EHLO without an arrow"}}\n')
    with pytest.raises(ValueError, match="no line of a dialogue: 'EHLO without an arrow'"):
        load_family(broken)


def test_checks_are_chosen_by_family_and_by_name() -> None:
    assert {check.family for check in select_checks(["relay", "auth"])} == {"relay", "auth"}
    assert [check.name for check in select_checks(["tls.versions"])] == ["tls.versions"]
    fast = select_checks(fast=True)
    assert {"relay", "auth", "identity", "signing", "delivery"} <= {check.family for check in fast}
    assert not any(check.is_disruptive for check in fast)


def test_an_unknown_name_is_a_usage_error_that_lists_the_families() -> None:
    with pytest.raises(UsageError, match="no check is called 'relais'") as caught:
        select_checks(["relay", "relais"])
    assert "relay" in caught.value.hint


def test_people_fit_their_parts(spec: Spec) -> None:
    names = choose_subject(spec, {}, suite.SANDBOX_WORLD).names
    assert names["owner"] == "ali@example.org"
    assert names["owner_alias"] == "info@example.org"
    assert names["neighbour"] == "bob@example.org"
    assert sender_owners(spec)[names["neighbour_alias"]] == ("bob@example.org",)
    assert names["shared_alias"] in ("team@example.org", "boss@example.org")
    assert names["tenant"] == names["catch_all"].replace("nobody-has-this-address", "shop") == "shop@example.net"
    assert names["null_sender"] == "app@example.org"
    assert names["neighbour_tag"] == "bob+probe@example.org"


def test_only_a_few_logins_get_another_password(spec: Spec) -> None:
    assert set(probe_logins(spec)) == {"ali@example.org", "app@example.org", "shop@example.net"}


def test_without_a_spec_what_needs_people_says_whom_it_lacks() -> None:
    names = choose_subject(None, {}, {**suite.SANDBOX_WORLD, "hostname": "mx.example.com"}).names
    assert "owner" not in names
    assert set(MISSING) & set(names) == set()


@pytest.mark.parametrize(
    ("address", "places"),
    [
        ("ali@example.org", {"ali@example.org"}),
        ("ali+tag@example.org", {"ali@example.org"}),
        ("boss@example.org", {"ali@example.org", "bob@example.org", "carol@partner.example"}),
        ("nobody@example.net", {"shop@example.net"}),
        ("shop@example.net", {"shop@example.net"}),
        ("app@example.org", {"bob@example.org"}),
        ("root@mx1.example.org", {"ali@example.org"}),
        ("nobody@example.org", set()),
        ("friend@elsewhere.example", set()),
    ],
)
def test_where_mail_is_expected(spec: Spec, address: str, places: set[str]) -> None:
    assert Router(spec, DEBIAN_12).destinations(address) == places
