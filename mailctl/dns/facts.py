"""What DNS records need and the spec does not say: the other servers of the fleet, keys and certificate on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.dkim.states import KeyState, Stage, read_states, record_to_publish
from mailctl.dns.resolve import in_parallel
from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.spec.model import Server, Spec
from mailctl.target import Target


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A DKIM key on disk, where it is in its life, and the TXT record that must be published for it."""

    domain: str
    selector: str
    name: str
    record: str
    stage: Stage = Stage.SIGNING


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
        """In the order they were made."""
        return tuple(key for key in self.keys if key.domain == domain)

    def signing_selector(self, domain: str, selector: str) -> str:
        """The selector that signs where the spec names `selector`: a key may have taken over."""
        signing = [key.selector for key in self.keys_of(domain) if key.stage is Stage.SIGNING]
        return selector if selector in signing or not signing else signing[-1]


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
        states = [state for domain in spec.domains for state in read_states(host, target, domain)]
        keys = in_parallel(lambda state: _public_key(host, state), states)
    except (OSError, MailctlError) as error:
        keys = []
        notes.append(
            f"DKIM keys cannot be read, so the spec's selectors are taken, which a rotation may replace: {error}"
        )
    tlsa = _tlsa(host, certificate)
    if not tlsa:
        is_to_come = spec.tls.self_signed and host.stat(certificate) is None
        why = "is not made yet, an apply makes it" if is_to_come else "cannot be read"
        notes.append(f"the certificate {certificate} {why}: no TLSA record")
    return Facts(servers or (spec.server,), tuple(key for key in keys if key), tlsa, tuple(notes))


def _public_key(host: Host, state: KeyState) -> PublicKey | None:
    record = record_to_publish(host, state)
    key = state.key
    return PublicKey(key.domain, key.selector, key.record_name, record, state.stage) if record else None


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
