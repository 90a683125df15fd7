"""A certificate for the lab and the first boot: nobody trusts it, but everything is encrypted."""

from __future__ import annotations

from pathlib import PurePosixPath

from mailctl.components.tls_files import CertificateFiles, self_signed_paths
from mailctl.errors import MailctlError
from mailctl.host import Host, create_whole
from mailctl.target import Target

DAYS = 3650
LONGEST_COMMON_NAME = 64  # characters, RFC 5280 appendix A.1, ub-common-name


def ensure_self_signed(host: Host, target: Target, hostname: str) -> CertificateFiles:
    """Make what is missing of the pair: a P-256 key (0600 root) and a certificate for `hostname`; never remade.

    Raises:
        MailctlError: openssl failed.
    """
    pair = self_signed_paths(target)
    host.make_directory(pair.key.parent, 0o700)
    if host.stat(pair.key) is None:
        key = _openssl(host, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        create_whole(host, pair.key, key, 0o600)
    if host.stat(pair.certificate) is None:
        create_whole(host, pair.certificate, _sign(host, pair.key, hostname), 0o644)
    return pair


def _sign(host: Host, key: PurePosixPath, hostname: str) -> bytes:
    # The name that counts is the alternative one (RFC 6125); a long name does not fit the common name.
    subject = hostname if len(hostname) <= LONGEST_COMMON_NAME else "mail server"
    names = ("-subj", f"/CN={subject}", "-addext", f"subjectAltName=DNS:{hostname}")
    return _openssl(host, "req", "-x509", "-new", "-key", str(host.path(key)), "-days", str(DAYS), *names)


def _openssl(host: Host, *arguments: str) -> bytes:
    done = host.run(["openssl", *arguments])
    if done.returncode != 0:
        raise MailctlError(f"openssl could not make the self-signed certificate: {done.complaint}")
    return done.stdout
