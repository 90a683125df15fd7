from __future__ import annotations

from pathlib import Path

import pytest

from mailctl.lab.zone import server_zone
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec

SPEC = """\
version: 1
server: {{hostname: mx1.example.org, role: {role}}}
tls: {{self_signed: true}}
domains:
  example.org:
    mailboxes:
      ali: {{password: {{hash: "{{SHA512-CRYPT}}$6$abcdefgh$abcdefghijklmnopqrstuvwxyz"}}}}
local_aliases: {{postmaster: ali@example.org}}
"""


def spec_of(role: str, folder: Path) -> Spec:
    (folder / "mail.yml").write_text(SPEC.format(role=role))
    return load_spec(folder / "mail.yml")


@pytest.mark.parametrize(
    ("role", "exchangers"),
    [("full", ["10 mx1.example.org."]), ("backup-mx", ["10 mx.example.org.", "20 mx1.example.org."])],
)
def test_mail_for_a_hosted_domain_finds_the_server_that_holds_its_mailboxes(
    role: str, exchangers: list[str], tmp_path: Path
) -> None:
    assert server_zone(spec_of(role, tmp_path), {})["example.org"]["MX"] == exchangers


def test_a_long_key_record_is_split_as_dns_wants_it(tmp_path: Path) -> None:
    name = "s1._domainkey.example.org"
    (text,) = server_zone(spec_of("full", tmp_path), {name: "p" * 400})[name]["TXT"]
    assert text == f'"{"p" * 255}" "{"p" * 145}"'
