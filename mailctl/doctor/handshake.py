"""A TLS handshake with a port of this machine, by openssl-s_client(1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailctl.host import Host

SECONDS = 6.0
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port, its service, and the protocol that begins TLS on it; empty where TLS comes first."""

    number: int
    service: str
    starttls: str = ""


def served_certificate(host: Host, port: Port, server_name: str) -> bytes | None:
    """The certificate a port shows, PEM; None where it makes no handshake."""
    starttls = ("-starttls", port.starttls) if port.starttls else ()
    address = f"127.0.0.1:{port.number}"
    argv = ["openssl", "s_client", "-connect", address, "-servername", server_name, *starttls]
    found = _CERTIFICATE.search(host.run(argv, timeout=SECONDS).stdout)
    return found[0] if found else None


def first_certificate(chain: bytes) -> bytes | None:
    """The server's own certificate of a PEM file."""
    found = _CERTIFICATE.search(chain)
    return found[0] if found else None
