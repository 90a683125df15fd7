"""Family tls, certificates: name, dates, chain, key size, signature, on each port and for each name of the spec."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from functools import partial

from mailctl.host import LocalHost
from mailctl.probe.arena import ANY_CERTIFICATE, Arena, Transport
from mailctl.probe.check import Attempt, Check, DoubtError, RefutedError
from mailctl.probe.dialogue import DialogueError, Transcript
from mailctl.probe.families.tls import ENCRYPTED, open_transports

REMEDY = "get a certificate that strangers trust: in tls.certificate, its intermediates after it, its key in tls.key"
EXPIRES_SOON = 14 * 86400  # seconds
RSA = "rsaEncryption"
SMALLEST_KEY = {RSA: 2048, "id-ecPublicKey": 256, "ED25519": 256}  # bits
SUFFICIENT_RSA = 3072  # bits; shorter ones are to be phased out, NCSC-NL 2025-05 section 3.3.2.1
_FIELDS = re.compile(r"Signature Algorithm: (\S+)|Public Key Algorithm: (\S+)|Public-Key: \((\d+) bit")


def checks() -> tuple[Check, ...]:
    return (
        Check("tls.certificate", "the certificate is good for the name, now, and for everybody", REMEDY, _each_port),
        Check("tls.key", "the certificate's key is long enough, and its signature is no SHA-1", REMEDY, _each_key),
    )


def _each_port(arena: Arena) -> Iterator[Attempt]:
    roots = arena.vantage.trusted_roots
    context = ssl.create_default_context(cafile=str(roots) if roots else None)
    for transport in open_transports(arena, ENCRYPTED):
        for name in _names(arena):
            yield Attempt(f"{transport.value} {name}", partial(_verify, arena, context, transport, name))


def _each_key(arena: Arena) -> Iterator[Attempt]:
    for transport in open_transports(arena, ENCRYPTED):
        yield Attempt(transport.value, partial(_look_at_key, arena, transport))


def _names(arena: Arena) -> tuple[str, ...]:
    return (arena.subject.names["hostname"], *(arena.spec.tls.sni if arena.spec else ()))


def _verify(arena: Arena, context: ssl.SSLContext, transport: Transport, name: str, transcript: Transcript) -> None:
    try:
        certificate = _fetch(arena, transport, name, context, transcript)
    except DialogueError as error:
        if arena.spec and arena.spec.tls.self_signed and "self-signed" in str(error):
            raise DoubtError("the spec asks for a self-signed certificate, which nobody trusts") from error
        raise RefutedError(str(error)) from error
    left = _end_of(certificate) - time.time()
    if left < EXPIRES_SOON:
        raise DoubtError(f"the certificate expires in {left / 86400:.0f} days")


def _look_at_key(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    certificate = _fetch(arena, transport, arena.subject.names["hostname"], ANY_CERTIFICATE, transcript)
    text = _openssl(certificate, "-text")
    signature, algorithm, bits = (next(filter(None, column), "") for column in zip(*_FIELDS.findall(text), strict=True))
    transcript.append(f"<- {algorithm} {bits} bits, signed with {signature}")
    if "sha1" in signature.lower() or "md5" in signature.lower():
        raise RefutedError(f"signed with {signature}")
    if int(bits or 0) < SMALLEST_KEY.get(algorithm, 0):
        raise RefutedError(f"{algorithm} with {bits} bits")
    if algorithm == RSA and int(bits) < SUFFICIENT_RSA:
        raise DoubtError(f"RSA with {bits} bits is to be phased out; a new certificate can have a key of type ECDSA")


def _fetch(arena: Arena, transport: Transport, name: str, context: ssl.SSLContext, transcript: Transcript) -> bytes:
    """The server's certificate, DER."""
    with arena.connect(transcript, transport, arena.families[0]) as dialogue:
        arena.approach_tls(dialogue, transport)
        return dialogue.start_tls(context, name)


def _end_of(certificate: bytes) -> float:
    """When it expires, in seconds since the epoch."""
    return ssl.cert_time_to_seconds(_openssl(certificate, "-enddate").strip().partition("=")[2])


def _openssl(certificate: bytes, what: str) -> str:
    done = LocalHost().run(["openssl", "x509", "-inform", "DER", "-noout", what], stdin=certificate)
    if done.returncode:
        raise RefutedError(f"no certificate: {done.complaint}")
    return done.stdout.decode(errors="replace")
