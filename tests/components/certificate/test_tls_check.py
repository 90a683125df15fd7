"""`mailctl tls check` as a user runs it, and the faults only it and an apply look for; real openssl."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import ExitCode
from mailctl.host import LocalHost

HOSTNAME = "mx1.example.org"
CA_CONFIG = """\
[ca]
default_ca = this
[this]
database = {folder}/index
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = any
[any]
commonName = supplied
"""


@pytest.fixture(autouse=True)
def _tools(require_root: None, require_tools: Callable[..., None]) -> None:
    require_tools("openssl", "stat")


def test_a_self_signed_pair_before_the_first_apply_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(f"version: 1\nserver: {{hostname: {HOSTNAME}}}\ntls: {{self_signed: true}}\n")
    argv = [sys.executable, "-m", "mailctl", "tls", "check", "--root", "empty"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == ExitCode.OK
    assert "/var/lib/mailctl/tls/cert.pem is not made yet\n      hint: an apply makes it" in done.stdout
    assert "key.pem" not in done.stdout


def openssl(*arguments: str | Path) -> None:
    done = LocalHost().run(["openssl", *arguments])
    assert done.returncode == 0, done.complaint


def make_key(path: Path, *options: str) -> Path:
    algorithm = options or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    openssl("genpkey", *algorithm, "-out", path)
    path.chmod(0o600)
    return path


def issue(folder: Path, name: str, issuer: str = "") -> Path:
    """A certificate `name`.pem with its key, signed by `issuer` of the same folder, else by itself."""
    key = make_key(folder / f"{name}.key")
    by = ("-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key") if issuer else ()
    names = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{HOSTNAME}")
    openssl("req", "-x509", "-new", "-key", key, *by, *names, "-days", "90", "-out", folder / f"{name}.pem")
    return folder / f"{name}.pem"


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def tls_check(folder: Path, certificate: Path, key: Path, *options: str) -> subprocess.CompletedProcess[str]:
    spec = folder / "mail.yml"
    spec.write_text(f"version: 1\nserver: {{hostname: {HOSTNAME}}}\ntls: {{certificate: {certificate}, key: {key}}}\n")
    argv = [sys.executable, "-P", "-m", "mailctl", *options, "-f", str(spec), "tls", "check"]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def messages(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    (found,) = json.loads(done.stdout)["certificates"]
    return [(each["severity"], each["message"]) for each in found["diagnostics"]]


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """root issues middle, middle issues leaf."""
    issue(tmp_path, "root")
    issue(tmp_path, "middle", "root")
    issue(tmp_path, "leaf", "middle")
    return tmp_path


def test_a_chain_in_order(pki: Path) -> None:
    chain = join(pki / "chain.pem", pki / "leaf.pem", pki / "middle.pem", pki / "root.pem")
    done = tls_check(pki, chain, pki / "leaf.key")
    assert done.returncode == ExitCode.OK, done.stdout
    assert f"warn  {HOSTNAME}  {chain}  {pki}/mail.yml:3:20\n" in done.stdout
    assert "EC 256, until 2" in done.stdout
    assert f"chain of 3, for {HOSTNAME}" in done.stdout
    assert "leads to no authority this machine trusts" in done.stdout


def test_a_chain_out_of_order(pki: Path) -> None:
    chain = join(pki / "chain.pem", pki / "leaf.pem", pki / "root.pem", pki / "middle.pem")
    done = tls_check(pki, chain, pki / "leaf.key", "--json")
    assert done.returncode == ExitCode.FAILED
    assert ("error", f"the chain {chain} is out of order: number 2 did not issue 1") in messages(done)


def test_the_issuer_first(pki: Path) -> None:
    chain = join(pki / "chain.pem", pki / "middle.pem", pki / "leaf.pem")
    done = tls_check(pki, chain, pki / "leaf.key", "--json")
    assert done.returncode == ExitCode.FAILED
    assert ("error", f"the key {pki}/leaf.key does not belong to the certificate {chain}") in messages(done)


def test_a_broken_hash(tmp_path: Path) -> None:
    key = make_key(tmp_path / "k.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    certificate = tmp_path / "c.pem"
    names = ("-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{HOSTNAME}")
    openssl("req", "-x509", "-new", "-sha1", "-key", key, *names, "-days", "90", "-out", certificate)
    done = tls_check(tmp_path, certificate, key, "--json")
    assert done.returncode == ExitCode.FAILED
    assert ("error", f"the certificate {certificate} is signed with sha1WithRSAEncryption") in messages(done)


def test_a_short_key(tmp_path: Path) -> None:
    key = make_key(tmp_path / "k.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    certificate = tmp_path / "c.pem"
    names = ("-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{HOSTNAME}")
    openssl("req", "-x509", "-new", "-key", key, *names, "-days", "90", "-out", certificate)
    done = tls_check(tmp_path, certificate, key, "--json")
    assert done.returncode == ExitCode.FAILED
    assert ("error", f"the key of {certificate} is too short: RSA 1024 bits") in messages(done)


def test_one_that_is_not_valid_yet(tmp_path: Path) -> None:
    issue(tmp_path, "root")
    key = make_key(tmp_path / "k.pem")
    (tmp_path / "index").touch()
    (tmp_path / "ca.conf").write_text(CA_CONFIG.format(folder=tmp_path))
    names = ("-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{HOSTNAME}")
    openssl("req", "-new", "-key", key, *names, "-out", tmp_path / "request.pem")
    authority = ("-config", tmp_path / "ca.conf", "-cert", tmp_path / "root.pem", "-keyfile", tmp_path / "root.key")
    dates = ("-startdate", "20970101000000Z", "-enddate", "20980101000000Z")
    certificate = tmp_path / "c.pem"
    openssl("ca", "-batch", *authority, *dates, "-in", tmp_path / "request.pem", "-out", certificate)
    done = tls_check(tmp_path, certificate, key, "--json")
    assert done.returncode == ExitCode.FAILED
    assert ("error", f"the certificate {certificate} is not valid yet") in messages(done)


def test_no_certificate_at_all(tmp_path: Path) -> None:
    done = tls_check(tmp_path, tmp_path / "none.pem", tmp_path / "none.key")
    assert done.returncode == ExitCode.FAILED
    assert f"FAIL  {HOSTNAME}" in done.stdout
    assert f"no certificate can be read from {tmp_path}/none.pem" in done.stdout
