"""TLS settings of Dovecot by profile: Mozilla's server-side TLS guidelines, version 5.7."""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.components.ciphers import cipher_list
from mailctl.spec.choices import TlsProfile


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Values of ssl_min_protocol, ssl_cipher_list, ssl_curve_list, ssl_prefer_server_ciphers."""

    min_protocol: str
    ciphers: str
    curves: str
    prefer_server_ciphers: str


def tls_settings(profile: TlsProfile) -> TlsSettings:
    """The settings of `profile`."""
    old = profile is TlsProfile.OLD
    minimum = {TlsProfile.MODERN: "TLSv1.3", TlsProfile.INTERMEDIATE: "TLSv1.2", TlsProfile.OLD: "TLSv1"}[profile]
    return TlsSettings(
        min_protocol=minimum,
        ciphers=cipher_list(profile),
        curves="X25519:prime256v1:secp384r1",
        prefer_server_ciphers="yes" if old else "no",
    )
