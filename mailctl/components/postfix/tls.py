"""TLS of the Postfix SMTP server by profile: Mozilla's server-side TLS guidelines, version 5.7."""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.components.ciphers import cipher_list
from mailctl.spec.choices import TlsProfile


@dataclass(frozen=True, slots=True)
class TlsServer:
    """Values for the smtpd_tls parameters; `cipher_list` holds for TLS 1.2 and older, `grade` names it."""

    protocols: str
    grade: str
    cipher_list: str

    @property
    def cipher_list_parameter(self) -> str:
        return f"tls_{self.grade}_cipherlist"


def tls_server(profile: TlsProfile) -> TlsServer:
    """The settings of `profile`."""
    match profile:
        case TlsProfile.MODERN:
            return TlsServer(">=TLSv1.3", "high", cipher_list(profile))
        case TlsProfile.INTERMEDIATE:
            return TlsServer(">=TLSv1.2", "high", cipher_list(profile))
        case TlsProfile.OLD:
            return TlsServer(">=TLSv1", "medium", cipher_list(profile))
