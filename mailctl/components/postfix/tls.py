"""TLS of the Postfix SMTP server by profile: Mozilla's server-side TLS guidelines, version 5.7."""

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
# OpenSSL 3 refuses TLS 1.0 and 1.1 at any higher security level, SSL_CTX_set_security_level(3).
_OLD = (*_INTERMEDIATE, "ECDHE+AES", "RSA+AES", "@SECLEVEL=0")


@dataclass(frozen=True, slots=True)
class TlsServer:
    """Values for the smtpd_tls parameters; `cipher_list` holds for TLS 1.2 and older, `grade` names it."""

    protocols: str
    grade: str
    cipher_list: str


def tls_server(profile: TlsProfile) -> TlsServer:
    """The settings of `profile`."""
    match profile:
        case TlsProfile.MODERN:
            return TlsServer(">=TLSv1.3", "high", ":".join(_INTERMEDIATE))
        case TlsProfile.INTERMEDIATE:
            return TlsServer(">=TLSv1.2", "high", ":".join(_INTERMEDIATE))
        case TlsProfile.OLD:
            return TlsServer(">=TLSv1", "medium", ":".join(_OLD))
