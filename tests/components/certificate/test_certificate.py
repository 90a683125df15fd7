"""Certificates: what is found wrong before a client meets it, and the pair made for the first boot; real openssl."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from mailctl.components import certificate
from mailctl.components.base import Staged
from mailctl.components.certificate.pairs import check_pairs
from mailctl.components.tls_files import certificate_paths
from mailctl.errors import Problem, Severity
from mailctl.host import LocalHost
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

NOTHING_STAGED = Staged(PurePosixPath("/staged"), Tree({}))


@pytest.fixture(autouse=True)
def _tools(require_root: None, require_tools: Callable[..., None]) -> None:
    require_tools("openssl", "stat")


def openssl(*arguments: str | Path) -> None:
    done = LocalHost().run(["openssl", *arguments])
    assert done.returncode == 0, done.complaint


def make_pair(folder: Path, hostname: str, days: int = 90) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    pair = folder / "cert.pem", folder / "key.pem"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", pair[1])
    names = ("-subj", f"/CN={hostname}", "-addext", f"subjectAltName=DNS:{hostname}")
    openssl("req", "-x509", *new_key, *names, "-days", str(days), "-out", pair[0])
    pair[1].chmod(0o600)
    return pair


def load(folder: Path, tls: str, hostname: str = "mx1.example.org") -> Spec:
    spec_file = folder / "mail.yml"
    spec_file.write_text(f"version: 1\nserver: {{hostname: {hostname}}}\ntls: {{{tls}}}\n")
    return load_spec(spec_file)


def check(folder: Path, pair: tuple[Path, Path], sni: str = "") -> list[Problem]:
    spec = load(folder, f"certificate: {pair[0]}, key: {pair[1]}{sni}")
    return certificate.check(LocalHost(), spec, DEBIAN_12, NOTHING_STAGED)


def test_a_good_pair_is_fine(tmp_path: Path) -> None:
    assert check(tmp_path, make_pair(tmp_path / "tls", "mx1.example.org")) == []


def test_a_wildcard_covers_the_name(tmp_path: Path) -> None:
    assert check(tmp_path, make_pair(tmp_path / "tls", "*.example.org")) == []


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    found = make_pair(tmp_path / "one", "mx1.example.org")
    other = make_pair(tmp_path / "two", "mx1.example.org")
    problem = only(check(tmp_path, (found[0], other[1])))
    assert "does not belong to the certificate" in problem.message
    assert (problem.path, problem.origin.line, problem.severity) == ("tls.certificate", 3, Severity.ERROR)


def test_another_name(tmp_path: Path) -> None:
    problem = only(check(tmp_path, make_pair(tmp_path / "tls", "mx2.example.org")))
    assert "is not for mx1.example.org" in problem.message


def test_missing_files_are_two_problems(tmp_path: Path) -> None:
    problems = check(tmp_path, (tmp_path / "none.pem", tmp_path / "no-key.pem"))
    assert [problem.message for problem in problems] == [
        f"no certificate can be read from {tmp_path}/none.pem: no such file or directory",
        f"no private key can be read from {tmp_path}/no-key.pem: no such file or directory",
    ]


def test_a_key_with_a_pass_phrase_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls", "mx1.example.org")
    locked = tmp_path / "locked.pem"
    openssl("pkey", "-in", pair[1], "-aes128", "-passout", "pass:secret", "-out", locked)
    assert "no private key can be read" in only(check(tmp_path, (pair[0], locked))).message


def test_one_that_has_expired(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls", "mx1.example.org")
    openssl("x509", "-in", pair[0], "-signkey", pair[1], "-days", "0", "-out", pair[0])
    time.sleep(1.1)  # it was good until the second in which it was made
    problem = only(check(tmp_path, pair))
    assert "has expired" in problem.message
    assert problem.severity is Severity.ERROR


def test_one_that_expires_soon_is_a_warning(tmp_path: Path) -> None:
    problem = only(check(tmp_path, make_pair(tmp_path / "tls", "mx1.example.org", days=5)))
    assert "expires in less than 14 days" in problem.message
    assert problem.severity is Severity.WARNING


def test_a_key_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls", "mx1.example.org")
    pair[1].chmod(0o644)
    problem = only(check(tmp_path, pair))
    assert "everybody can read" in problem.message
    assert problem.severity is Severity.WARNING


def test_pairs_for_further_names_are_checked_too(tmp_path: Path) -> None:
    own = make_pair(tmp_path / "own", "mx1.example.org")
    other = make_pair(tmp_path / "other", "mail.example.com")
    sni = f", sni: {{mail.example.net: {{certificate: {other[0]}, key: {other[1]}}}}}"
    problem = only(check(tmp_path, own, sni))
    assert "is not for mail.example.net" in problem.message
    assert problem.path == "tls.sni.mail.example.net"


def build(root: Path, hostname: str = "mx1.example.org") -> tuple[LocalHost, Spec]:
    host, spec = LocalHost(root), load(root, "self_signed: true", hostname)
    assert certificate.build(host, spec, DEBIAN_12, Tree({})) == []
    return host, spec


def test_the_self_signed_pair_fits_and_its_key_is_private(tmp_path: Path) -> None:
    host, spec = build(tmp_path)
    assert check_pairs(host, spec, DEBIAN_12) == []
    key = host.stat(certificate_paths(spec, DEBIAN_12).key)
    assert key is not None
    assert (key.mode, key.owner) == (0o600, "root")


def test_the_self_signed_pair_is_made_once(tmp_path: Path) -> None:
    host, spec = build(tmp_path)
    before = [host.read(path) for path in certificate_paths(spec, DEBIAN_12)]
    build(tmp_path)
    assert [host.read(path) for path in certificate_paths(spec, DEBIAN_12)] == before


def test_a_pair_cut_short_by_a_crash_is_completed_with_its_key(tmp_path: Path) -> None:
    host, spec = build(tmp_path)
    pair = certificate_paths(spec, DEBIAN_12)
    key = host.read(pair.key)
    host.remove(pair.certificate)
    build(tmp_path)
    assert host.read(pair.key) == key
    assert check_pairs(host, spec, DEBIAN_12) == []


def test_a_renamed_server_keeps_its_self_signed_pair_with_a_warning(tmp_path: Path) -> None:
    build(tmp_path)
    host, spec = build(tmp_path, "mx2.example.org")
    problem = only(check_pairs(host, spec, DEBIAN_12))
    assert problem.severity is Severity.WARNING
    assert "remove /var/lib/mailctl/tls" in problem.hint


def test_a_long_name_fits(tmp_path: Path) -> None:
    host, spec = build(tmp_path, f"{'a' * 60}.{'b' * 60}.example.org")
    assert check_pairs(host, spec, DEBIAN_12) == []


def test_nothing_is_made_where_the_spec_names_a_pair(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls", "mx1.example.org")
    spec = load(tmp_path, f"certificate: {pair[0]}, key: {pair[1]}")
    certificate.build(LocalHost(tmp_path), spec, DEBIAN_12, Tree({}))
    assert not (tmp_path / "var/lib/mailctl/tls").exists()
