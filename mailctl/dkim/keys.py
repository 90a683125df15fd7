"""DKIM keys: made once, kept outside generations, never rendered; RFC 6376 and RFC 8301."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.errors import MailctlError
from mailctl.host import Host, create_whole
from mailctl.spec.model import Dkim, Spec
from mailctl.target import Target

KEY_MODE = 0o600
RECORD_MODE = 0o644
LONGEST_STRING = 255  # bytes of one character-string, RFC 1035 section 3.3


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One signing key: which domain it signs for, under which selector, and where it lies."""

    domain: str
    selector: str
    path: PurePosixPath

    @property
    def record_path(self) -> PurePosixPath:
        """A file with the record to publish, in the form of a zone file, beside the key."""
        return self.path.with_suffix(".txt")

    @property
    def record_name(self) -> str:
        """The DNS name of its public key record, without a final dot."""
        return f"{self.selector}._domainkey.{self.domain}"


def key_of(target: Target, domain: str, selector: str) -> DkimKey:
    """The key for `domain` and `selector`, whether it exists or not."""
    return DkimKey(domain, selector, target.dkim_key_dir / domain / f"{selector}.private")


def signed_domains(spec: Spec) -> Iterator[tuple[str, Dkim]]:
    """The domains whose mail is signed, by name."""
    return ((domain, record.dkim) for domain, record in sorted(spec.domains.items()) if record.dkim)


def signing_keys(spec: Spec, target: Target) -> Iterator[DkimKey]:
    """The key the spec names for every domain whose mail is signed, by domain, whether it exists or not.

    A key that took over signs in its place: see `states.current_key`.
    """
    return (key_of(target, domain, dkim.selector) for domain, dkim in signed_domains(spec))


def ensure_key(host: Host, target: Target, key: DkimKey, bits: int) -> bool:
    """Make an RSA key of `bits` where none is: 0600, owned by the signer, in a folder only root writes.

    Beside it goes the DNS record to publish. True when the key was made; an existing key is never touched,
    whatever its length.

    Raises:
        MailctlError: openssl failed.
        UnfitError: openssl or the user opendkim is missing.
    """
    is_new = host.stat(key.path) is None
    if is_new:
        host.make_directory(key.path.parent, 0o750, "root", target.opendkim_user)
        pem = _openssl(host, "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
        create_whole(host, key.path, pem, KEY_MODE, target.opendkim_user, target.opendkim_user)
    if is_new or host.stat(key.record_path) is None:
        create_whole(host, key.record_path, zone_line(key, public_key_record(host, key)), RECORD_MODE)
    return is_new


def zone_line(key: DkimKey, record: str) -> bytes:
    """A resource record as zone files and most DNS providers take it, RFC 1035 section 5."""
    return f"{key.record_name}. IN TXT ( {quote_strings(record)} )\n".encode()


def quote_strings(text: str) -> str:
    """`text` as the quoted character-strings of a TXT record."""
    parts = [text[start : start + LONGEST_STRING] for start in range(0, len(text), LONGEST_STRING)]
    return " ".join(f'"{part}"' for part in parts)


def public_key_record(host: Host, key: DkimKey) -> str:
    """The TXT record to publish at `key.record_name`: `v=DKIM1; k=rsa; p=...` (RFC 6376 section 3.6.1).

    Raises:
        MailctlError: there is no readable key.
    """
    der = _openssl(host, "pkey", "-in", str(host.path(key.path)), "-pubout", "-outform", "DER")
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def key_bits(host: Host, key: DkimKey) -> int:
    """The length of the key's modulus in bits.

    Raises:
        MailctlError: there is no readable RSA key.
    """
    text = _openssl(host, "rsa", "-in", str(host.path(key.path)), "-passin", "pass:", "-noout", "-text").decode()
    match = re.search(r"Private-Key: \((\d+) bit", text)
    if match is None:
        raise MailctlError(f"{key.path} holds no RSA key")
    return int(match[1])


def _openssl(host: Host, *arguments: str) -> bytes:
    done = host.run(["openssl", *arguments])
    if done.returncode != 0:
        reason = done.complaint.partition("\n")[0]
        raise MailctlError(f"openssl {arguments[0]} failed: {reason}", hint="is the DKIM key there, and are you root?")
    return done.stdout
