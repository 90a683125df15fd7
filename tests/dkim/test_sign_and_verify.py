"""OpenDKIM signs, dkimpy verifies: every kind of message in every canonicalization, and what happens on the way.

The messages lie in matrix/messages, the changes in matrix/changes.yml.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailctl.dkim.public_key import KeyAnswer
from mailctl.dkim.signature import Alignment, BodyHash, Signature, Verdict
from mailctl.dkim.verify import verify_message
from mailctl.host import LocalHost
from mailctl.probe.milter import MilterClient
from tests.dkim.signer import Signer

MATRIX = Path(__file__).parent / "matrix"
MESSAGES = sorted((MATRIX / "messages").glob("*.eml"))
CHANGES = yaml.safe_load((MATRIX / "changes.yml").read_text())
CANONICALIZATIONS = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
DOMAINS = ("example.org", "xn--mnchen-3ya.example")
START_TIMEOUT = 30.0  # seconds
CONF = """
Mode s
Socket local:{folder}/socket
PidFile {folder}/pid
KeyTable file:{folder}/KeyTable
SigningTable file:{folder}/SigningTable
Canonicalization {canonicalization}
SignatureAlgorithm rsa-sha256
OversignHeaders From
RequireSafeKeys no
SignatureTTL 3600
"""

Sign = Callable[[bytes], bytes]


class OpenDkim:
    """An OpenDKIM of its own, with the settings of ours but for how it canonicalizes."""

    def __init__(self, folder: Path, canonicalization: str, signer: Signer) -> None:
        folder.mkdir(mode=0o700)
        self.socket = folder / "socket"
        (folder / "key").write_bytes(signer.private)
        (folder / "KeyTable").write_text("".join(f"{name} {name}:s1:{folder}/key\n" for name in DOMAINS))
        (folder / "SigningTable").write_text("".join(f"{name} {name}\n" for name in DOMAINS))
        (folder / "conf").write_text(CONF.format(folder=folder, canonicalization=canonicalization))
        self.process = LocalHost().spawn(["opendkim", "-f", "-x", folder / "conf"])
        deadline = time.monotonic() + START_TIMEOUT
        while not self.socket.exists():
            assert self.process.poll() is None, "opendkim did not start"
            assert time.monotonic() < deadline, "opendkim made no socket"
            time.sleep(0.02)

    def sign(self, message: bytes) -> bytes:
        with MilterClient(self.socket) as milter:
            _, ((name, value),) = milter.filter(message, client="127.0.0.1")
        field = f"{name}: {value}".replace("\r\n", "\n").replace("\n", "\r\n").encode()
        return field + b"\r\n" + message

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module", params=CANONICALIZATIONS)
def canonicalization(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sign(
    canonicalization: str, signer: Signer, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sign]:
    require_tools("opendkim")
    daemon = OpenDkim(tmp_path_factory.mktemp("opendkim") / "run", canonicalization, signer)
    yield daemon.sign
    daemon.stop()


def read_message(file: Path) -> bytes:
    return file.read_bytes().replace(b"\n", b"\r\n")


def verify(content: bytes, signer: Signer) -> Signature:
    asked: list[str] = []

    def find_key(name: str) -> KeyAnswer:
        asked.append(name)
        return KeyAnswer(signer.record)

    (found,) = verify_message(content, find_key, datetime.now(UTC), str).signatures
    assert set(asked) <= {f"s1._domainkey.{domain}" for domain in DOMAINS}
    return found


@pytest.mark.parametrize("file", MESSAGES, ids=lambda file: file.stem)
def test_every_kind_of_message_verifies(sign: Sign, signer: Signer, canonicalization: str, file: Path) -> None:
    found = verify(sign(read_message(file)), signer)
    assert (found.verdict, found.reason, found.notes) == (Verdict.PASS, "", ())
    assert (found.canonicalization, found.body_hash, found.alignment) == (
        canonicalization,
        BodyHash.OK,
        Alignment.STRICT,
    )
    assert found.expires
    assert found.fields.count("from") == 2, "a second From cannot be added"


@pytest.mark.parametrize("file", MESSAGES, ids=lambda file: file.stem)
def test_one_bit_of_any_message_is_one_too_many(sign: Sign, signer: Signer, file: Path) -> None:
    signed = sign(read_message(file))
    head, _, body = signed.partition(b"\r\n\r\n")
    # In the middle of a header that is signed, and of the body where there is one.
    for changed in (signed.replace(b"Subject: ", b"Subject: x", 1), head + b"\r\n\r\nx" + body):
        assert verify(changed, signer).verdict is Verdict.FAIL


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["name"])
def test_what_happens_on_the_way(sign: Sign, signer: Signer, canonicalization: str, change: dict[str, Any]) -> None:
    signed = sign(read_message(MATRIX / "messages/plain.eml"))
    old, new = change.get("from", "").encode(), change.get("to", "").encode()
    signature, rest = signed.split(b"From: Ali", 1)
    rest = b"From: Ali" + rest
    assert rest.count(old) >= 1, "the change changes nothing"
    changed = change.get("head", "").encode() + signature + rest.replace(old, new, 1) + change.get("tail", "").encode()
    expected = change["expect"][CANONICALIZATIONS.index(canonicalization)]
    found = verify(changed, signer)
    assert (found.verdict is Verdict.PASS) == (expected == "p"), found.reason
    assert found.verdict in (Verdict.PASS, Verdict.FAIL)


def test_the_matrix_can_fail_in_every_column() -> None:
    for column in range(len(CANONICALIZATIONS)):
        assert {change["expect"][column] for change in CHANGES} == {"p", "f"}
