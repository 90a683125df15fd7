"""Family tls, early data: no ticket lets a client send before the handshake, where it could be replayed; RFC 8446."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.cipher_suites import TLS_1_3
from mailctl.probe.dialogue import Transcript
from mailctl.probe.families.tls import on_each_port, reach_agreement
from mailctl.probe.handshake import Offer, TlsVersion
from mailctl.probe.openssl import converse, require_openssl

REMEDY = "neither Postfix nor Dovecot takes early data: switch it off in what stands before them, such as a proxy"
# Whatever the server sends after a handshake comes before its answer to these.
GOODBYE = {Transport.IMAPS: b"a logout"}
_HANDSHAKE = re.compile(rb"^New, TLSv1\.3", re.MULTILINE)
_EARLY = re.compile(rb"^\s*Max Early Data: (\d+)", re.MULTILINE)


def checks() -> tuple[Check, ...]:
    return (Check("tls.early-data", "no early data is taken (0-RTT)", REMEDY, _attempts),)


def _attempts(arena: Arena) -> Iterator[Attempt]:
    require_openssl()
    return on_each_port(_look_at_tickets, arena)


def _look_at_tickets(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    if reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_3, tuple(TLS_1_3))) is None:
        return  # older versions have no early data
    said = converse(arena, transport, "-tls1_3", GOODBYE.get(transport, b"quit"))
    if not _HANDSHAKE.search(said):
        raise CannotTellError("openssl s_client did not get that far")
    sizes = [int(each) for each in _EARLY.findall(said)]
    transcript.append(f"<- {len(sizes)} tickets, early data of {max(sizes, default=0)} bytes")
    if any(sizes):
        raise RefutedError(f"a ticket allows {max(sizes)} bytes of early data")
