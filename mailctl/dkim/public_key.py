"""Public key records as others publish them, read with suspicion; RFC 6376 section 3.6.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailctl.dkim.tags import parse_tags
from mailctl.errors import MailctlError

LONGEST_RECORD = 8192  # characters; an RSA key of 4096 bits needs 720
FORBIDDEN_BITS = 1024  # verifiers must not take shorter RSA keys, RFC 8301 section 3.2
WEAK_BITS = 2048
_STRINGS = re.compile(r'"([^"]*)"')
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What a look-up of a public key gave: the record, or why there is none; a temporary failure may pass."""

    record: str = ""
    problem: str = ""
    is_temporary: bool = False


@dataclass(frozen=True, slots=True)
class PublicKeyRecord:
    """The tags of a record; names in lower case, values without white space around them."""

    tags: Mapping[str, str]

    @classmethod
    def parse(cls, record: str) -> PublicKeyRecord:
        """Raises ValueError, with a reason, where it is no record of a public key."""
        if len(record) > LONGEST_RECORD:
            raise ValueError(f"the record is longer than {LONGEST_RECORD} characters")
        tags = parse_tags(record)
        if tags.get("v", "DKIM1") != "DKIM1":
            raise ValueError("the record has another version than DKIM1")
        if "p" not in tags:
            raise ValueError("the record has no p= tag")
        return cls(tags)

    @property
    def key(self) -> str:
        """The key in base64; empty where it was revoked."""
        return "".join(self.tags["p"].split())

    @property
    def key_type(self) -> str:
        return self.tags.get("k", "rsa")

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(flag.strip() for flag in self.tags.get("t", "").split(":"))

    def allows(self, tag: str, value: str) -> bool:
        """Whether the list in `tag` (`h`: hash algorithms, `s`: services) has `value`; without the tag it has all."""
        allowed = [each.strip() for each in self.tags.get(tag, "*").split(":")]
        return "*" in allowed or value in allowed

    def same_key(self, record: str) -> bool:
        """Whether another record holds the same key, however both are laid out."""
        try:
            other = PublicKeyRecord.parse(record)
        except ValueError:
            return False
        return (self.key, self.key_type) == (other.key, other.key_type)


def record_in(text: str) -> str:
    """The record in a file a user names: as DNS text, as a line of a zone file, or a public key in PEM.

    Raises:
        MailctlError: it holds none of these.
    """
    if pem := _PEM.search(text):
        return f"v=DKIM1; p={''.join(pem[1].split())}"
    record = "".join(_STRINGS.findall(text)) or " ".join(text.split())
    try:
        PublicKeyRecord.parse(record)
    except ValueError as error:
        raise MailctlError(
            f"no public key there: {error}",
            hint="give a record (v=DKIM1; ... p=...), a line of a zone file, or a public key in PEM",
        ) from error
    return record
