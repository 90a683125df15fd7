"""Keys and a certificate of the run, and the good zone that belongs to them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailctl.dkim.keys import ensure_key, key_of, public_key_record, quote_strings
from mailctl.host import LocalHost
from mailctl.target import DEBIAN_12

FOLDER = Path(__file__).parent
CERTIFICATE = DEBIAN_12.self_signed_dir / "cert.pem"


@dataclass(frozen=True)
class Machine:
    """A folder that stands for a server with its DKIM key and certificate; `marks` are what zones name as @MARK@."""

    host: LocalHost
    marks: dict[str, str]

    def zone(self, text: str) -> str:
        for mark, value in self.marks.items():
            text = text.replace(f"@{mark}@", value)
        return text


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    root = tmp_path_factory.mktemp("server")
    host, other = LocalHost(root), LocalHost(tmp_path_factory.mktemp("other"))
    key = key_of(DEBIAN_12, "example.org", "s1")
    ensure_key(host, DEBIAN_12, key, 2048)
    ensure_key(other, DEBIAN_12, key, 2048)
    short = key_of(DEBIAN_12, "example.org", "short")
    ensure_key(other, DEBIAN_12, short, 1024)
    record = public_key_record(host, key)
    marks = {
        "DKIM": quote_strings(record),
        "KEY": quote_strings(record.partition("p=")[1] + record.partition("p=")[2]),
        "OTHER": quote_strings(public_key_record(other, key)),
        "SHORT": quote_strings(public_key_record(other, short)),
        "TLSA": f"3 1 1 {_make_certificate(host)}",
    }
    return Machine(host, marks)


def _make_certificate(host: LocalHost) -> str:
    """A certificate at the place of self-signed ones; SHA-256 of its public key, by openssl alone."""
    certificate = host.path(CERTIFICATE)
    certificate.parent.mkdir(parents=True)
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", certificate.with_name("key.pem"), "-out", certificate]
    subprocess.run([*made, *files, "-subj", "/CN=mx1.example.org"], check=True, capture_output=True)
    public = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True
    ).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der, check=True, capture_output=True).stdout
    return digest.split()[0].decode()
