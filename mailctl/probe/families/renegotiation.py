"""Family tls, renegotiation: a client that asks for new keys in the middle of a session is refused.

Python's ssl cannot ask. openssl s_client(1) does on a line that holds the letter R.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import BinaryIO

from mailctl.host import LocalHost
from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Transcript
from mailctl.probe.families.tls import on_each_port, reach_agreement
from mailctl.probe.handshake import Offer, TlsVersion
from mailctl.probe.suites import ALL_1_2

REMEDY = "tls_ssl_options = NO_COMPRESSION, NO_RENEGOTIATION"
# Asked while the greeting is on its way, the server would answer with that instead.
_GREETED = re.compile(rb"^(?:220|250|\* OK) ", re.MULTILINE)
ASKED, REFUSED = b"RENEGOTIATING", b"no renegotiation"


def checks() -> tuple[Check, ...]:
    return (Check("tls.renegotiation", "a client cannot renegotiate", REMEDY, _attempts),)


def _attempts(arena: Arena) -> Iterator[Attempt]:
    if LocalHost().find_program("openssl") is None:
        raise CannotTellError("openssl is not installed")
    return on_each_port(_renegotiate, arena)


def _renegotiate(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    found = reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_2, tuple(ALL_1_2)))
    if found is None or found.version != TlsVersion.TLS_1_2:
        return  # TLS 1.3 has no renegotiation
    if not found.has_secure_renegotiation:
        raise RefutedError("RFC 5746 is not supported")
    said = _ask(arena, transport)
    if ASKED not in said:
        raise CannotTellError("openssl s_client did not get that far")
    if REFUSED not in said:
        raise RefutedError("the client renegotiated")


def _ask(arena: Arena, transport: Transport) -> bytes:
    """Everything s_client printed."""
    endpoint = arena.vantage.endpoint(transport.port, arena.families[0])
    starttls = ("-starttls", "smtp") if transport.starts_tls else ()
    argv = ("openssl", "s_client", "-tls1_2", *starttls, "-connect", f"{endpoint.address}:{endpoint.port}")
    reading, writing = os.pipe()
    with TemporaryFile() as output, open(writing, "wb", buffering=0) as stdin:
        process = LocalHost().spawn(argv, stdin=reading, stdout=output.fileno(), stderr=output.fileno())
        os.close(reading)
        try:
            arena.wait_until(lambda: _GREETED.search(_content(output)) is not None, arena.vantage.patience)
            stdin.write(b"R\n")
            arena.wait_until(lambda: process.poll() is not None, arena.vantage.patience)
        finally:
            process.kill()
            process.wait()
        return _content(output)


def _content(file: BinaryIO) -> bytes:
    return os.pread(file.fileno(), 2**20, 0)
