"""TLS settings of Dovecot by profile: Mozilla's server-side TLS guidelines, version 5.7.

Suites with ephemeral Diffie-Hellman over integers are left out: every client of a profile has elliptic
curves too, and no parameter file is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.spec.model import TlsProfile

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


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Values of ssl_min_protocol, ssl_cipher_list, ssl_curve_list, ssl_prefer_server_ciphers."""

    min_protocol: str
    ciphers: str
    curves: str
    prefer_server_ciphers: str


def tls_settings(profile: TlsProfile) -> TlsSettings:
    """The settings of `profile`; the cipher list is for TLS 1.2 and older, TLS 1.3 has no weak suite."""
    old = profile is TlsProfile.OLD
    minimum = {TlsProfile.MODERN: "TLSv1.3", TlsProfile.INTERMEDIATE: "TLSv1.2", TlsProfile.OLD: "TLSv1"}[profile]
    return TlsSettings(
        min_protocol=minimum,
        ciphers=":".join(_OLD if old else _INTERMEDIATE),
        curves="X25519:prime256v1:secp384r1",
        prefer_server_ciphers="yes" if old else "no",
    )
