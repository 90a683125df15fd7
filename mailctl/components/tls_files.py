"""Where the server's certificate and key lie: what the spec names, or the pair mailctl makes itself."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

from mailctl.spec.model import Spec
from mailctl.target import Target


class CertificateFiles(NamedTuple):
    """Paths on the target: a PEM chain, server certificate first, and its PEM private key."""

    certificate: PurePosixPath
    key: PurePosixPath


def certificate_paths(spec: Spec, target: Target) -> CertificateFiles:
    """The pair every service presents for the server's own name; `tls.sni` holds those of other names."""
    if spec.tls.certificate is not None and spec.tls.key is not None:
        return CertificateFiles(spec.tls.certificate, spec.tls.key)
    return self_signed_paths(target)


def self_signed_paths(target: Target) -> CertificateFiles:
    """The pair mailctl makes for `tls.self_signed`."""
    return CertificateFiles(target.self_signed_dir / "cert.pem", target.self_signed_dir / "key.pem")
