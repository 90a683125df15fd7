"""Public keys asked of a real DNS server: of a resolver for verifying, of the zone's own servers for a rotation."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailctl.dkim.rotation import not_published, not_revoked
from mailctl.dns.public_key import find_public_key, find_sightings
from mailctl.dns.resolve import Resolver, Server
from tests.dkim.signer import MESSAGE, Signer
from tests.dns.server import ADDRESS, World, serving

NAME = "s1._domainkey.example.org"
RECORD = "v=DKIM1; k=rsa; p=AAAA"
SERVERS = "example.org. NS ns1.example.net.\nns1.example.net. A 127.0.0.1\n"
SILENT_SERVER = "example.org. NS ns2.example.net.\nns2.example.net. A 127.0.0.3\n"
TWO_SERVERS = f"{SERVERS}example.org. NS ns2.example.net.\n"


def txt(*values: str, name: str = NAME) -> str:
    return "".join(f'{name}. TXT "{value}"\n' for value in values)


@contextmanager
def resolver(zone: str, faults: Mapping[str, str] | None = None) -> Iterator[Resolver]:
    # Where some are silent, others have to answer in that time.
    is_silent = SILENT_SERVER in zone or "silent" in (faults or {}).values()
    with serving(World(zone, faults)) as port:
        timeout = 2 if is_silent else 20
        yield Resolver([Server(ADDRESS, port)], timeout=timeout, within=120, authoritative_port=port)


@pytest.mark.parametrize(
    ("zone", "faults", "record", "problem", "is_temporary"),
    [
        (txt(RECORD), {}, RECORD, "", False),
        (txt("p=AAAA"), {}, "p=AAAA", "", False),
        (txt(RECORD, "google-site-verification=x"), {}, RECORD, "", False),
        (f'{NAME}. TXT "v=DKIM1; k=rsa; " "p=AAAA"\n', {}, RECORD, "", False),
        (f"{NAME}. CNAME key.example.net.\n" + txt(RECORD, name="key.example.net"), {}, RECORD, "", False),
        (txt(RECORD, RECORD[:-1]), {}, "", "2 records instead of one", False),
        (txt("hello"), {}, "", "no record of a key", False),
        (f"{NAME}. A 192.0.2.1\n", {}, "", "no data", False),
        ("", {}, "", "nxdomain", False),
        ("", {NAME: "servfail"}, "", "servfail", True),
        ("", {NAME: "silent"}, "", "timeout", True),
        (txt(RECORD), {NAME: "bogus"}, "", "bogus dnssec", True),
        (f"{NAME}. CNAME {NAME}.\n", {}, "", "cname loop", True),
    ],
)  # fmt: skip
def test_the_key_of_a_signature(
    zone: str, faults: dict[str, str], record: str, problem: str, is_temporary: bool
) -> None:
    with resolver(zone, faults) as asking:
        found = find_public_key(asking, NAME)
    assert (found.record, found.is_temporary) == (record, is_temporary)
    assert found.problem.startswith(problem)
    assert (found.problem != "") == (problem != "")


@pytest.mark.parametrize(
    ("zone", "faults", "obstacle"),
    [
        (SERVERS + txt(RECORD), {}, ""),
        (TWO_SERVERS + "ns2.example.net. A 127.0.0.1\n" + txt("k=rsa; p=AA AA"), {}, ""),
        (SERVERS + f"{NAME}. CNAME key.example.org.\n" + txt(RECORD, name="key.example.org"), {}, ""),
        (SERVERS, {}, "ns1.example.net"),
        (SERVERS + f"{NAME}. A 192.0.2.1\n", {}, "no data"),
        (SERVERS + txt("v=DKIM1; p=BBBB"), {}, "another key"),
        (SERVERS + txt("v=DKIM1; p="), {}, "another key"),
        (SERVERS + txt(RECORD, "v=DKIM1; p=BBBB"), {}, "2 records"),
        (SERVERS + txt(RECORD), {NAME: "lame"}, "not responsible"),
        (SERVERS + txt(RECORD), {NAME: "silent"}, "timeout"),
        (SERVERS + txt(RECORD), {NAME: "servfail"}, "servfail"),
        (SERVERS + txt(RECORD), {NAME: "garbage"}, "ns1.example.net"),
        (SERVERS + SILENT_SERVER + txt(RECORD), {}, "ns2.example.net"),
        (txt(RECORD), {}, "cannot be found"),
    ],
)  # fmt: skip
def test_what_keeps_a_new_key_from_signing(zone: str, faults: dict[str, str], obstacle: str) -> None:
    with resolver(zone, faults) as asking:
        found = list(not_published(RECORD, find_sightings(asking, NAME)))
    assert bool(found) == bool(obstacle), found
    assert obstacle in " ".join(found)


@pytest.mark.parametrize(
    ("zone", "faults", "obstacle"),
    [
        (SERVERS, {}, ""),
        (SERVERS + txt("v=DKIM1; k=rsa; p="), {}, ""),
        (SERVERS + f"{NAME}. A 192.0.2.1\n", {}, ""),
        (SERVERS + txt(RECORD), {}, "still shows the key"),
        (SERVERS, {NAME: "silent"}, "timeout"),
        (SERVERS, {NAME: "lame"}, "not responsible"),
        ("", {}, "cannot be found"),
    ],
)  # fmt: skip
def test_what_keeps_a_retired_key_from_being_deleted(zone: str, faults: dict[str, str], obstacle: str) -> None:
    with resolver(zone, faults) as asking:
        found = list(not_revoked(find_sightings(asking, NAME)))
    assert bool(found) == bool(obstacle), found
    assert obstacle in " ".join(found)


def verify(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", "mailctl", "dkim", "verify", *words]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def test_the_command_asks_the_server_it_is_told(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "message.eml"
    file.write_bytes(signer.sign())
    # A record of 392 characters: two strings in the zone.
    zone = f'{NAME}. TXT "{signer.record[:255]}" "{signer.record[255:]}"\n'
    with serving(World(zone)) as port:
        by_file = verify("--nameserver", f"{ADDRESS}@{port}", file)
        by_stdin = verify("--nameserver", f"{ADDRESS}@{port}", "-", stdin=file.read_bytes())
    assert (by_file.returncode, by_file.stderr) == (0, b""), by_file
    assert by_file.stdout.startswith(b"1  pass      example.org  selector s1  rsa-sha256 relaxed/relaxed, 2048 bits\n")
    assert by_stdin.stdout == by_file.stdout


@pytest.mark.parametrize("form", ["record", "zone line", "PEM"])
def test_a_key_from_a_file_asks_no_server(signer: Signer, tmp_path: Path, form: str) -> None:
    quoted = f'"{signer.record[:200]}" "{signer.record[200:]}"'
    pem = f"-----BEGIN PUBLIC KEY-----\n{signer.key}\n-----END PUBLIC KEY-----\n"
    text = {"record": signer.record, "zone line": f"{NAME}. IN TXT ( {quoted} )\n", "PEM": pem}[form]
    (tmp_path / "key").write_text(text)
    assert verify("--key-file", tmp_path / "key", "-", stdin=signer.sign()).returncode == 0
    assert verify("--key-file", tmp_path / "key", "-", stdin=MESSAGE).returncode == 1


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("--key-file", "{folder}/none", "-"), 1, b"none: No such file"),
        (("--key-file", "{folder}/nonsense", "-"), 64, b"no public key there"),
        (("--key-file", "{folder}/nonsense", "--nameserver", "192.0.2.1", "-"), 64, b"asks no DNS server"),
        (("--nameserver", "ns1.example.org", "-"), 64, b"--nameserver"),
        (("{folder}/none",), 64, b"No such file"),
        (("--key-file", "{folder}/key", "{folder}/empty"), 1, b"this is no message"),
    ],
)
def test_a_slip_of_the_hand_is_told(
    signer: Signer, tmp_path: Path, words: tuple[str, ...], status: int, complaint: bytes
) -> None:
    (tmp_path / "nonsense").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "key").write_text(signer.record)
    found = verify(*(word.replace("{folder}", str(tmp_path)) for word in words), stdin=MESSAGE)
    assert (found.returncode, complaint in found.stderr) == (status, True), found.stderr
    assert b"Traceback" not in found.stderr
