"""OpenDKIM as rendered signs what it should, and nothing leaves unsigned when it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailctl.dkim.keys import key_of, public_key_record
from mailctl.host import LocalHost
from mailctl.probe.milter import ACCEPT, TEMPFAIL, MilterClient
from mailctl.sandbox import Sandbox
from mailctl.target import DEBIAN_12
from tests.real.component_server import install, log_of, settings_for
from tests.waiting import eventually

dkim = pytest.importorskip("dkim")

pytestmark = pytest.mark.real

SPEC = """
version: 1
server: {hostname: mx1.example.org, trusted_networks: [10.1.0.0/24]}
tls: {self_signed: true}
domains:
  example.org: {dkim: {selector: s2026a}}
"""
KEY = key_of(DEBIAN_12, "example.org", "s2026a")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spec")
    (folder / "mail.yml").write_text(SPEC)
    return folder


@pytest.fixture(scope="module")
def server(
    folder: Path, require_root: None, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    require_tools("opendkim", "openssl", "postfix")
    settings = settings_for("mx1.example.org", folder)
    with Sandbox.start(LocalHost(), tmp_path_factory.mktemp("sandbox"), settings) as started:
        assert install(started, folder / "mail.yml", "OpenDKIM") == ""
        yield started


def message_from(address: str) -> bytes:
    head = (
        f"From: Ali <{address}>\r\nTo: bob@example.com\r\nSubject: a word\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    )
    return head.encode() + b"Message-ID: <1@mx1.example.org>\r\n\r\nHello  \r\n"


def sign(server: Sandbox, address: str, **options: Any) -> tuple[bytes, list[tuple[str, str]]]:
    with MilterClient(server.path(DEBIAN_12.opendkim_socket)) as milter:
        return milter.filter(message_from(address), **options)


def is_valid(server: Sandbox, signature: tuple[str, str], message: bytes) -> bool:
    record = public_key_record(LocalHost(server.path("/")), KEY).encode()
    header = f"{signature[0]}: {signature[1]}".replace("\r\n", "\n").replace("\n", "\r\n").encode()
    found: bool = dkim.verify(header + b"\r\n" + message, dnsfunc=lambda name, timeout=5: record)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"client": "127.0.0.1"},
        {"client": "::1"},
        {"client": "10.1.0.7"},
        {"client": "192.0.2.7", "macros": {"{daemon_name}": "ORIGINATING"}},
        {"client": "192.0.2.7", "macros": {"{auth_type}": "PLAIN", "{auth_authen}": "ali@example.org"}},
    ],
    ids=["loopback", "loopback IPv6", "trusted network", "submission", "login"],
)
def test_own_mail_gets_a_signature_that_verifies(server: Sandbox, options: dict[str, Any]) -> None:
    verdict, headers = sign(server, "ali@example.org", **options)
    assert verdict == ACCEPT
    ((name, value),) = headers
    assert name == "DKIM-Signature"
    assert "d=example.org" in value
    assert "s=s2026a" in value
    assert is_valid(server, (name, value), message_from("ali@example.org"))


def test_a_second_from_breaks_the_signature(server: Sandbox) -> None:
    _, (signature,) = sign(server, "ali@example.org", client="127.0.0.1")
    assert not is_valid(server, signature, b"From: Boss <boss@example.org>\r\n" + message_from("ali@example.org"))


def test_the_case_of_the_address_does_not_matter(server: Sandbox) -> None:
    assert len(sign(server, "ALI@Example.ORG", client="127.0.0.1")[1]) == 1


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("ali@example.org", {"client": "192.0.2.7"}),
        ("ali@example.org", {"client": "10.1.1.7"}),
        ("ali@sub.example.org", {"client": "127.0.0.1"}),
        ("ali@example.com", {"client": "127.0.0.1"}),
    ],
    ids=["a stranger", "a network beside", "a subdomain", "another domain"],
)
def test_what_is_not_ours_is_accepted_without_a_signature(server: Sandbox, address: str, options: Any) -> None:
    assert sign(server, address, **options) == (ACCEPT, [])


def test_without_its_key_mail_waits(server: Sandbox) -> None:
    """Tempfail for what should be signed; other mail passes."""
    key = server.path(KEY.path)
    aside = key.rename(key.with_suffix(".aside"))
    try:
        assert sign(server, "ali@example.org", client="127.0.0.1") == (TEMPFAIL, [])
        assert sign(server, "ali@example.com", client="127.0.0.1") == (ACCEPT, [])
    finally:
        aside.rename(key)


@pytest.mark.parametrize(("user", "may"), [("postfix", True), ("nobody", False)])
def test_only_postfix_connects(server: Sandbox, user: str, may: bool) -> None:
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{DEBIAN_12.opendkim_socket}')"
    identity = (f"--reuid={user}", f"--regid={'postfix' if may else 'nogroup'}", "--clear-groups")
    done = server.run(["setpriv", *identity, "/usr/bin/python3", "-c", connect])
    assert (done.returncode == 0) is may, done.complaint


def test_a_new_domain_is_signed_after_a_reload(server: Sandbox, folder: Path) -> None:
    pid = server.path("/run/opendkim/opendkim.pid").read_text()
    (folder / "two.yml").write_text(f"{SPEC}  example.net: {{dkim: {{selector: net1}}}}\n")
    assert install(server, folder / "two.yml", "OpenDKIM") == ""
    assert eventually(lambda: len(sign(server, "a@example.net", client="127.0.0.1")[1]) == 1)
    assert server.path("/run/opendkim/opendkim.pid").read_text() == pid
    assert eventually(lambda: "configuration reloaded" in log_of(server))


def test_a_daemon_that_died_is_started(server: Sandbox, folder: Path) -> None:
    """The pid file of a dead process is not believed, even when the number lives on as something else."""
    pid_file = server.path("/run/opendkim/opendkim.pid")
    server.run(["kill", "-KILL", pid_file.read_text().strip()])
    pid_file.write_text("1\n")
    (folder / "three.yml").write_text(f"{SPEC}  example.com: {{dkim: {{selector: com1}}}}\n")
    assert install(server, folder / "three.yml", "OpenDKIM") == ""
    assert len(sign(server, "a@example.com", client="127.0.0.1")[1]) == 1
