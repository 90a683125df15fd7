"""Cipher suites by TLS profile: Mozilla's server-side TLS guidelines, version 5.7.

Suites with ephemeral Diffie-Hellman over integers are left out: every client of a profile has elliptic
curves too, and no parameter file is needed. What is left of `intermediate` is what NCSC-NL calls sufficient in its
guidelines for TLS (2025-05), which Internet.nl applies to port 25: there anything older is insufficient, or to be
phased out.
"""

from __future__ import annotations

from mailctl.spec.choices import TlsProfile

# No SHA-1 in signatures (RFC 9155), no key below 112 bits; Postfix by itself sets a lower level.
STRICT = "@SECLEVEL=2"
_INTERMEDIATE = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_OLD = (
    *_INTERMEDIATE,
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "AES256-SHA",
    # OpenSSL 3 refuses TLS 1.0 and 1.1 at any higher level, SSL_CTX_set_security_level(3).
    "@SECLEVEL=0",
)


def cipher_list(profile: TlsProfile) -> str:
    """The suites for TLS 1.2 and older in the spelling of openssl-ciphers(1); TLS 1.3 has no weak one."""
    return ":".join(_OLD if profile is TlsProfile.OLD else (*_INTERMEDIATE, STRICT))
