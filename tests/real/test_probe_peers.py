"""What other tools say of the same server, sound and broken; each runs where it is installed, none is needed.

Differences are explained in docs/probe.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailctl.host import Completed, LocalHost
from mailctl.probe import Verdict
from mailctl.sandbox.network import SERVER_IPV4
from tests.real.probe_lab import OPEN_RELAY, Mutation, ProbeLab, started_lab

pytestmark = [pytest.mark.real, pytest.mark.slow]

# sslyze opens hundreds of connections a minute.
NO_LIMITS = Mutation(
    "no limits",
    (),
    main=dict.fromkeys(
        (
            "smtpd_client_connection_count_limit",
            "smtpd_client_connection_rate_limit",
            "smtpd_client_new_tls_session_rate_limit",
        ),
        "0",
    ),
)
SSLYZE = Path(sys.executable).with_name("sslyze")


@pytest.fixture(scope="module")
def lab(
    require_root: None, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProbeLab]:
    require_tools("postfix", "dovecot", "opendkim", "openssl")
    with started_lab("probe-peers", tmp_path_factory.mktemp("spec")) as started:
        yield started


def ask(lab: ProbeLab, program: str, *arguments: str | Path) -> Completed:
    """Run a peer from the outside world; skip where it is not installed."""
    if LocalHost().find_program(program) is None:
        pytest.skip(f"not installed: {program}")
    return lab.sandbox.call_outside(lambda: LocalHost().run([program, *arguments], timeout=120))


def test_nmap_agrees_about_relaying(lab: ProbeLab) -> None:
    options = ("-Pn", "-n", "-p25", "--script", "smtp-open-relay", SERVER_IPV4)
    assert b"doesn't seem to be an open relay" in ask(lab, "nmap", *options).stdout
    with OPEN_RELAY.applied(lab):
        assert b"Server is an open relay" in ask(lab, "nmap", *options).stdout
        assert lab.probe("relay.stranger").result("relay.stranger").verdict is Verdict.FAIL


def test_swaks_agrees_about_relaying_and_auth(lab: ProbeLab) -> None:
    envelope = ("--helo", "client.example", "--from", "someone@outside.example", "--to", "x@elsewhere.example")
    relaying = ask(lab, "swaks", "--server", SERVER_IPV4, *envelope, "--quit-after", "RCPT")
    assert b"554 5.7.1 <x@elsewhere.example>: Relay access denied" in relaying.stdout
    login = ("--auth-user", "ali@example.org", "--auth-password", "wrong")
    in_clear = ask(lab, "swaks", "--server", SERVER_IPV4, *envelope, "--port", "587", *login)
    assert in_clear.returncode != 0
    assert b"AUTH PLAIN" not in in_clear.stdout


def test_posttls_finger_agrees_about_the_certificate(lab: ProbeLab) -> None:
    options = ("-c", "-l", "secure", "-F", lab.sandbox.folder / "ca.pem", f"[{SERVER_IPV4}]:25", "mx1.example.org")
    assert b"Verified TLS connection established" in ask(lab, "posttls-finger", *options).stdout
    with Mutation("", (), certificate="expired").applied(lab):
        assert b"Verified TLS connection established" not in ask(lab, "posttls-finger", *options).stdout


@pytest.mark.parametrize("where", [("465",), ("587", "--starttls", "smtp"), ("993",)], ids=lambda where: where[0])
def test_sslyze_agrees_about_mozillas_profile(lab: ProbeLab, where: tuple[str, ...]) -> None:
    port, *starttls = where
    options = ("--mozilla_config", "intermediate", "--sni", "mx1.example.org", *starttls)
    with NO_LIMITS.applied(lab):
        done = ask(lab, str(SSLYZE), *options, f"{SERVER_IPV4}:{port}")
    verdict = done.stdout.decode().rpartition("COMPLIANCE AGAINST")[2]
    assert "Not compliant" in verdict or "OK - Compliant" in verdict, done.stdout[-1500:].decode()
    # The lab's authority is known to the lab alone.
    assert set(re.findall(r"\* (\w+):", verdict)) <= {"certificate_path_validation"}, verdict
