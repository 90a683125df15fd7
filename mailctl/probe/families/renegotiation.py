"""Family tls, renegotiation: a client that asks for new keys in the middle of a session is refused."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.cipher_suites import ALL_1_2
from mailctl.probe.dialogue import Transcript
from mailctl.probe.families.tls import on_each_port, reach_agreement
from mailctl.probe.handshake import Offer, TlsVersion
from mailctl.probe.openssl import converse, require_openssl

REMEDY = "tls_ssl_options = NO_COMPRESSION, NO_RENEGOTIATION"
RENEGOTIATE = b"R"
ASKED, REFUSED = b"RENEGOTIATING", b"no renegotiation"


def checks() -> tuple[Check, ...]:
    return (Check("tls.renegotiation", "a client cannot renegotiate", REMEDY, _attempts),)


def _attempts(arena: Arena) -> Iterator[Attempt]:
    require_openssl()
    return on_each_port(_renegotiate, arena)


def _renegotiate(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    found = reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_2, tuple(ALL_1_2)))
    if found is None or found.version != TlsVersion.TLS_1_2:
        return  # TLS 1.3 has no renegotiation
    if not found.has_secure_renegotiation:
        raise RefutedError("RFC 5746 is not supported")
    said = converse(arena, transport, "-tls1_2", RENEGOTIATE)
    if ASKED not in said:
        raise CannotTellError("openssl s_client did not get that far")
    if REFUSED not in said:
        raise RefutedError("the client renegotiated")
