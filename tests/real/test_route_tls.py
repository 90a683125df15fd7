"""A certificate that cannot work stops an apply on a running server before anything changes."""

from __future__ import annotations

import pytest
from lab_kit import Lab

from mailctl.errors import ExitCode

pytestmark = pytest.mark.real


def test_a_key_of_another_certificate_changes_nothing(lab: Lab) -> None:
    folder = lab.spec_file.parent
    for name in ("one", "two"):
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", str(key))
        names = ("-subj", "/CN=x", "-addext", "subjectAltName=DNS:mx1.example.org")
        lab.sandbox.host.run(["openssl", "req", "-x509", *new, *names, "-days", "90", "-out", certificate])
    spec = folder / "mismatch.yml"
    pair = f"  certificate: {folder}/one.pem\n  key: {folder}/two.key\n"
    spec.write_text(lab.spec_file.read_text().replace("  self_signed: true\n", pair))
    before = {
        path: path.read_bytes() for path in map(lab.sandbox.path, ("/etc/postfix/main.cf", "/etc/dovecot/dovecot.conf"))
    }

    checked = lab.mailctl("-f", str(spec), "tls", "check")
    applied = lab.mailctl("-f", str(spec), "apply", "-y")

    fault = f"the key {folder}/two.key does not belong to the certificate {folder}/one.pem"
    assert (checked.returncode, applied.returncode) == (ExitCode.FAILED, ExitCode.FAILED)
    assert fault in checked.stdout
    assert fault in applied.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert lab.mailctl("-f", str(lab.spec_file), "status").returncode == ExitCode.OK
