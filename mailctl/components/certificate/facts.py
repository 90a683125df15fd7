"""What a certificate file holds, read with openssl; see openssl-x509(1ssl)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from mailctl.host import Host

ALGORITHMS = {"rsaEncryption": "RSA", "id-ecPublicKey": "EC", "ED25519": "Ed25519", "ED448": "Ed448"}


@dataclass(frozen=True, slots=True)
class Facts:
    """The server's certificate, the first of its file; times are UTC, `bits` is the length of the public key.

    `chain` holds the subject and the issuer of every certificate of the file, in its order.
    """

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    algorithm: str
    bits: int
    signature: str
    chain: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        return f"{self.algorithm} {self.bits}"


def read_facts(host: Host, certificate: PurePosixPath) -> Facts | None:
    """The facts of a PEM file; None where openssl finds no certificate in it."""
    file = host.path(certificate)
    done = host.run(["openssl", "x509", "-in", file, "-noout", "-text", "-startdate", "-enddate"])
    if done.returncode:
        return None
    text = done.stdout.decode(errors="replace")
    algorithm = _field(text, r"Public Key Algorithm: (\S+)")
    return Facts(
        names=tuple(re.findall(r"DNS:([^,\s]+)", text)),
        not_before=_time(_field(text, r"notBefore=(.+)")),
        not_after=_time(_field(text, r"notAfter=(.+)")),
        algorithm=ALGORITHMS.get(algorithm, algorithm),
        bits=int(_field(text, r"Public-Key: \((\d+) bit") or 256),  # Ed25519 has one length and shows none
        signature=_field(text, r"Signature Algorithm: (\S+)"),
        chain=_read_chain(host, certificate),
    )


def _read_chain(host: Host, certificate: PurePosixPath) -> tuple[tuple[str, str], ...]:
    bundle = host.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", host.path(certificate)])
    listed = host.run(["openssl", "pkcs7", "-print_certs", "-noout"], stdin=bundle.stdout).stdout.decode(
        errors="replace"
    )
    return tuple(re.findall(r"subject=(.*)\nissuer=(.*)", listed))


def _field(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1].strip() if found else ""


def _time(text: str) -> datetime:
    import ssl  # takes longer than all that a plan needs of this component

    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
