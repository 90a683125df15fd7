"""What other tools say of the same server, sound and broken: each agrees with the probe, or docs/probe.md says why not.

MAILCTL_PEERS=full asks testssl.sh about every port, which takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailctl.host import Completed, LocalHost
from mailctl.probe import Report, Verdict
from mailctl.sandbox.network import SERVER_IPV4
from tests.conftest import skip_or_fail
from tests.real.probe_lab import OPEN_RELAY, Mutation, ProbeLab, started_lab

pytestmark = [pytest.mark.real, pytest.mark.slow]

IS_FULL = os.environ.get("MAILCTL_PEERS") == "full"
LONGEST = 900.0  # seconds for one tool on a busy machine
# Tools that look at TLS open hundreds of connections a minute.
LIMITS = ("connection_count_limit", "connection_rate_limit", "new_tls_session_rate_limit")
NO_LIMITS = Mutation("no limits", (), main={f"smtpd_client_{name}": "0" for name in LIMITS})
OLD_TLS = Mutation(
    "old TLS",
    ("tls.versions",),
    main={
        **NO_LIMITS.main,
        "smtpd_tls_protocols": ">=TLSv1",
        "smtpd_tls_mandatory_protocols": ">=TLSv1",
        "mailctl_tls_cipherlist": "ALL:@SECLEVEL=0",
    },
)
SSLYZE = Path(sys.prefix) / "peers/bin/sslyze"  # .ci/install
WITH_TLS = {"25": ("25", "--starttls", "smtp"), "465": ("465",), "587": ("587", "--starttls", "smtp"), "993": ("993",)}
NMAP_SCRIPTS = "smtp-open-relay,smtp-commands,smtp-enum-users,ssl-enum-ciphers"
OUR_PORTS = {"25+tls": "25", "587+tls": "587", "465": "465", "993": "993"}
# Findings of testssl.sh, and what they are for a server that holds Mozilla's profile.
TESTSSL_SOUND = {
    "SSLv2": "not offered",
    "SSLv3": "not offered",
    "TLS1": "not offered",
    "TLS1_1": "not offered",
    "TLS1_2": "offered",
    "TLS1_3": "offered with final",
    "secure_renego": "supported",
    "secure_client_renego": "not vulnerable",
    "CRIME_TLS": "not vulnerable (not using HTTP anyway)",
}
TESTSSL_BAD = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
# The lab's certificate is of its own authority, for a month, and for a name, where testssl.sh knows the address.
TESTSSL_OF_THE_LAB = {
    "cert_trust",
    "cert_chain_of_trust",
    "cert_expirationStatus",
    "cert_notAfter",
    "cert_revocation",
}
# Among suites that are all good Dovecot lets the client choose, as Mozilla's profile asks.
TESTSSL_DIFFERS = {"993": {"cipher_order"}}


@dataclass(frozen=True)
class Judged:
    """A lab, and what the probe says of its TLS."""

    lab: ProbeLab
    tls: Report


@pytest.fixture(scope="module")
def judged(
    require_root: None, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judged]:
    """Sound, but without the limits on connections."""
    require_tools("postfix", "dovecot", "opendkim", "openssl")
    with started_lab("probe-peers", tmp_path_factory.mktemp("spec")) as started:
        NO_LIMITS.apply(started)
        yield Judged(started, started.probe("tls", "relay.stranger", "auth.not-offered-25", "auth.offered"))


def ask(lab: ProbeLab, program: str | Path, *arguments: str | Path) -> Completed:
    """Run a peer from the outside world; where it is not installed, skip or fail."""
    if not Path(program).is_file() and LocalHost().find_program(str(program)) is None:
        skip_or_fail(f"not installed: {Path(program).name}")
    return lab.sandbox.call_outside(lambda: LocalHost().run([program, *arguments], timeout=LONGEST))


def test_the_probe_finds_the_server_sound(judged: Judged) -> None:
    assert [each.name for each in judged.tls.results if each.verdict is not Verdict.OK] == []


@pytest.fixture(scope="module")
def nmap(judged: Judged) -> dict[str, str]:
    """What nmap's scripts say of each port."""
    ports = ",".join(WITH_TLS)
    said = ask(judged.lab, "nmap", "-Pn", "-n", f"-p{ports}", "--script", NMAP_SCRIPTS, SERVER_IPV4).stdout.decode()
    return {part.partition("/")[0]: part for part in re.split(r"^(?=\d+/tcp)", said, flags=re.MULTILINE)[1:]}


def test_nmap_agrees_about_relaying_and_auth(nmap: dict[str, str]) -> None:
    for port in ("25", "465", "587"):
        assert re.search("doesn't seem to be an open relay|isn't an open relay", nmap[port]), nmap[port]
    assert {port: " AUTH " in nmap[port] for port in ("25", "465", "587")} == {"25": False, "465": True, "587": False}


def test_nmap_learns_no_addresses(nmap: dict[str, str]) -> None:
    """Neither by VRFY nor by EXPN; that RCPT refuses unknown ones is how mail works."""
    for port in ("25", "465", "587"):
        # What a script says ends where the next one begins, in the second or third column.
        found = re.search(r"smtp-enum-users:(.*?)(?=^\|[ _]\S|\Z)", nmap[port], re.MULTILINE | re.DOTALL)
        assert found, nmap[port]
        assert not re.search(r"^\|[ _]\s+\w+$", found[1], re.MULTILINE), found[1]


def test_nmap_finds_the_same_cipher_suites(judged: Judged, nmap: dict[str, str]) -> None:
    """Exactly those of TLS 1.2 that the probe finds, on every port."""
    theirs = {port: {openssl_name(name) for name in _suites_of_1_2(nmap[port])} for port in WITH_TLS}
    ours = {
        OUR_PORTS[outcome.where]: set(outcome.dialogue[-1].removeprefix("<- ").split())
        for check in ("tls.mozilla-intermediate", "tls.internet-nl")
        for outcome in judged.tls.result(check).outcomes
    }
    assert theirs == ours


def _suites_of_1_2(said: str) -> list[str]:
    return re.findall(r"TLS_\w+_WITH_\w+", said.partition("TLSv1.2:")[2].partition("TLSv1.3:")[0])


def openssl_name(name: str) -> str:
    """A cipher suite's name in ciphers(1) for its name in the IANA registry."""
    short = name.removeprefix("TLS_").replace("_WITH", "").replace("_CBC", "").replace("POLY1305_SHA256", "POLY1305")
    return re.sub(r"(AES|CAMELLIA|ARIA)_(\d+)", r"\1\2", short).replace("CCM_8", "CCM8").replace("_", "-")


def test_nmap_and_the_probe_find_an_open_relay(judged: Judged) -> None:
    with OPEN_RELAY.applied(judged.lab):
        said = ask(judged.lab, "nmap", "-Pn", "-n", "-p25", "--script", "smtp-open-relay", SERVER_IPV4).stdout
        assert b"Server is an open relay" in said
        assert judged.lab.probe("relay.stranger").result("relay.stranger").verdict is Verdict.FAIL
    NO_LIMITS.apply(judged.lab)


def test_swaks_agrees_about_relaying_and_auth(judged: Judged) -> None:
    envelope = ("--helo", "client.example", "--from", "someone@outside.example", "--to", "x@elsewhere.example")
    relaying = ask(judged.lab, "swaks", "--server", SERVER_IPV4, *envelope, "--quit-after", "RCPT")
    assert b"554 5.7.1 <x@elsewhere.example>: Relay access denied" in relaying.stdout
    login = ("--auth-user", "ali@example.org", "--auth-password", "wrong")
    in_clear = ask(judged.lab, "swaks", "--server", SERVER_IPV4, *envelope, "--port", "587", *login)
    assert in_clear.returncode != 0
    assert b"AUTH PLAIN" not in in_clear.stdout


def test_posttls_finger_agrees_about_the_certificate(judged: Judged) -> None:
    lab, verified = judged.lab, b"Verified TLS connection established"
    options = ("-c", "-l", "secure", "-F", lab.sandbox.folder / "ca.pem", f"[{SERVER_IPV4}]:25", "mx1.example.org")
    assert verified in ask(lab, "posttls-finger", *options).stdout
    for fault in ("expired", "another-name"):
        Mutation(fault, (), certificate=fault).apply(lab)
        assert verified not in ask(lab, "posttls-finger", *options).stdout
    NO_LIMITS.apply(lab)


@pytest.mark.parametrize("port", ["465", "587", "993"])
def test_sslyze_agrees_about_mozillas_profile(judged: Judged, port: str) -> None:
    number, *starttls = WITH_TLS[port]
    options = ("--mozilla_config", "intermediate", "--sni", "mx1.example.org", *starttls)
    done = ask(judged.lab, SSLYZE, *options, f"{SERVER_IPV4}:{number}")
    verdict = done.stdout.decode().rpartition("COMPLIANCE AGAINST")[2]
    assert "Not compliant" in verdict or "OK - Compliant" in verdict, done.stdout[-1500:].decode()
    # The lab's authority is known to the lab alone.
    assert set(re.findall(r"\* (\w+):", verdict)) <= {"certificate_path_validation"}, verdict


@pytest.mark.parametrize("port", list(WITH_TLS) if IS_FULL else ["587"])
def test_testssl_agrees_about_versions_renegotiation_and_compression(judged: Judged, port: str, tmp_path: Path) -> None:
    """With the full set of peers, about all that it looks at."""
    found = findings_of_testssl(judged.lab, tmp_path, port, *(() if IS_FULL else ("-p", "-R", "-C")))
    assert {name: found[name].says for name in TESTSSL_SOUND} == TESTSSL_SOUND
    bad = {name for name, each in found.items() if each.severity in TESTSSL_BAD}
    assert bad <= TESTSSL_OF_THE_LAB | TESTSSL_DIFFERS.get(port, set()), {name: found[name] for name in bad}


def test_testssl_and_the_probe_find_old_versions(judged: Judged, tmp_path: Path) -> None:
    with OLD_TLS.applied(judged.lab):
        found = findings_of_testssl(judged.lab, tmp_path, "587", "-p")
        assert (found["TLS1"].says, found["TLS1_1"].says) == ("offered (deprecated)", "offered (deprecated)")
        assert judged.lab.probe("tls.versions").result("tls.versions").verdict is Verdict.FAIL
    NO_LIMITS.apply(judged.lab)


@dataclass(frozen=True)
class Finding:
    """What testssl.sh says of one thing, and how bad that is."""

    severity: str
    says: str


def findings_of_testssl(lab: ProbeLab, folder: Path, port: str, *checks: str) -> dict[str, Finding]:
    """All findings by name; of everything it can look at where no `checks` are named."""
    number, *starttls = WITH_TLS[port]
    options = ("--quiet", "--warnings", "batch", "--color", "0", "--nodns", "none", "--jsonfile", folder / "found.json")
    ask(lab, "testssl", *options, *checks, *starttls, f"{SERVER_IPV4}:{number}")
    found = json.loads((folder / "found.json").read_text())
    return {each["id"]: Finding(each["severity"], each["finding"]) for each in found}
