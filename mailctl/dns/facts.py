"""What DNS records need and the spec does not say: the other servers of the fleet, keys and certificate on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.dkim.keys import DkimKey, key_of, public_key_record
from mailctl.dns.resolve import in_parallel
from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.spec.model import Server, Spec
from mailctl.target import Target


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A DKIM key on disk and the TXT record that belongs to it."""

    domain: str
    selector: str
    name: str
    record: str


@dataclass(frozen=True, slots=True)
class Facts:
    """`servers` are all of the fleet; `keys` every readable DKIM key; `tlsa` the record data of the certificate.

    `notes` say what could not be read.
    """

    servers: tuple[Server, ...]
    keys: tuple[PublicKey, ...] = ()
    tlsa: str = ""
    notes: tuple[str, ...] = ()

    def keys_of(self, domain: str) -> tuple[PublicKey, ...]:
        return tuple(key for key in self.keys if key.domain == domain)


def read_facts(
    host: Host, spec: Spec, target: Target, certificate: PurePosixPath, servers: tuple[Server, ...] = ()
) -> Facts:
    """The facts of this machine. Keys are readable by root only; what cannot be read becomes a note.

    Args:
        certificate: the certificate the server presents on port 25, PEM.
        servers: of the fleet, as `load_servers` gives them; the spec's only one where there are none.
    """
    notes: list[str] = []
    try:
        found = in_parallel(lambda key: _public_key(host, key), _keys_on_disk(host, spec, target))
    except (OSError, MailctlError) as error:
        found = []
        notes.append(f"DKIM keys cannot be read, are you root? {error}")
    tlsa = _tlsa(host, certificate)
    if not tlsa:
        notes.append(f"no certificate can be read from {certificate}: no TLSA record")
    return Facts(servers or (spec.server,), tuple(found), tlsa, tuple(notes))


def _keys_on_disk(host: Host, spec: Spec, target: Target) -> Iterator[DkimKey]:
    for domain in spec.domains:
        folder = key_of(target, domain, "any").path.parent
        for name in host.list_directory(folder):
            if name.endswith(".private"):
                yield key_of(target, domain, name.removesuffix(".private"))


def _public_key(host: Host, key: DkimKey) -> PublicKey:
    return PublicKey(key.domain, key.selector, key.record_name, public_key_record(host, key))


def _tlsa(host: Host, certificate: PurePosixPath) -> str:
    """`3 1 1 <SHA-256 of the public key>`: this very key, whoever signed it; it outlives a renewal with the same key.

    Source: RFC 7671 section 5.1.
    """
    if host.find_program("openssl") is None or host.stat(certificate) is None:
        return ""
    public = host.run(["openssl", "x509", "-in", host.path(certificate), "-noout", "-pubkey"])
    der = host.run(["openssl", "pkey", "-pubin", "-outform", "DER"], stdin=public.stdout)
    if public.returncode or der.returncode:
        return ""
    return f"3 1 1 {hashlib.sha256(der.stdout).hexdigest()}"
