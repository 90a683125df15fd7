"""The first flight of TLS, made by hand: what a server would agree to, whatever the TLS library of this machine can do.

RFC 5246 section 7.4, RFC 8446 section 4; nothing here encrypts anything.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from mailctl.probe.cipher_suites import ALL_1_2
from mailctl.probe.dialogue import Connection

HANDSHAKE = 22
CLIENT_HELLO, SERVER_HELLO, SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE = 1, 2, 12, 14
SERVER_NAME, SUPPORTED_GROUPS, POINT_FORMATS, SIGNATURE_ALGORITHMS = 0, 10, 11, 13
EXTENDED_MASTER_SECRET, SUPPORTED_VERSIONS, KEY_SHARE, RENEGOTIATION_INFO = 23, 43, 51, 0xFF01
RENEGOTIATION_SCSV = 0x00FF
X25519 = 29
GROUPS = (X25519, 23, 24, 25, 256, 257)
# ECDSA, RSA and RSA-PSS with SHA-2, then SHA-1, which old servers need.
SHA1_SIGNATURES = (0x0203, 0x0201)
SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807, 0x0203, 0x0201)
LARGEST_ANSWER = 2**17


class TlsVersion(IntEnum):
    """Versions by their number on the wire."""

    SSL_3_0 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304

    @property
    def label(self) -> str:
        return self.name.replace("_", " ", 1).replace("_", ".")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client is willing to use."""

    version: TlsVersion
    suites: Sequence[int]
    server_name: str = ""
    groups: Sequence[int] = GROUPS
    signatures: Sequence[int] = SIGNATURES
    compression: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the server chose.

    `dh_bits` is the size of its Diffie-Hellman prime, `group` the number of its curve; 0 where there is none, or
    where nobody waited for it.
    """

    version: int
    suite: int
    compression: int
    has_secure_renegotiation: bool
    dh_bits: int = 0
    group: int = 0
    has_extended_master_secret: bool = False


def negotiate(connection: Connection, offer: Offer, *, wants_keys: bool = False) -> Agreement | None:
    """Send `offer`; what the server agrees to, or None where it refuses. `wants_keys` waits for group and prime.

    Raises:
        OSError: the connection failed otherwise than by being closed.
        DialogueError: no time is left.
    """
    try:
        connection.send(_client_hello(offer))
        return _read_answer(connection, wants_keys)
    except (ConnectionResetError, BrokenPipeError):
        return None


def _client_hello(offer: Offer) -> bytes:
    legacy = min(offer.version, TlsVersion.TLS_1_2)
    suites = struct.pack(f"!{len(offer.suites) + 1}H", *offer.suites, RENEGOTIATION_SCSV)
    compressions = b"\x01\x00" if offer.compression else b"\x00"
    body = struct.pack("!H", legacy) + os.urandom(32) + _vector(os.urandom(32), 1)
    body += _vector(suites, 2) + _vector(compressions, 1)
    if offer.version > TlsVersion.SSL_3_0:
        body += _vector(b"".join(_extensions(offer)), 2)
    message = bytes([CLIENT_HELLO]) + struct.pack("!I", len(body))[1:] + body
    return struct.pack("!BHH", HANDSHAKE, min(legacy, TlsVersion.TLS_1_0), len(message)) + message


def _extensions(offer: Offer) -> list[bytes]:
    found = [
        _extension(SUPPORTED_GROUPS, _vector(_numbers(offer.groups), 2)),
        _extension(POINT_FORMATS, b"\x01\x00"),
        _extension(SIGNATURE_ALGORITHMS, _vector(_numbers(offer.signatures), 2)),
        _extension(EXTENDED_MASTER_SECRET, b""),
    ]
    if offer.server_name:
        found.append(_extension(SERVER_NAME, _vector(b"\x00" + _vector(offer.server_name.encode("idna"), 2), 2)))
    if offer.version is TlsVersion.TLS_1_3:
        found.append(_extension(SUPPORTED_VERSIONS, _vector(struct.pack("!H", offer.version), 1)))
        # Any 32 bytes are a public key of X25519.
        found.append(_extension(KEY_SHARE, _vector(struct.pack("!H", X25519) + _vector(os.urandom(32), 2), 2)))
    return found


def _numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f"!{len(values)}H", *values)


def _extension(number: int, content: bytes) -> bytes:
    return struct.pack("!H", number) + _vector(content, 2)


def _vector(content: bytes, length_bytes: int) -> bytes:
    return len(content).to_bytes(length_bytes, "big") + content


def _read_answer(connection: Connection, wants_keys: bool) -> Agreement | None:
    """What the interesting messages say; an alert or the end of the connection is a refusal."""
    found = None
    for kind, body in _read_messages(connection):
        if kind == SERVER_HELLO:
            found = _read_server_hello(body)
            if not wants_keys or found is None:
                return found
        elif kind == SERVER_KEY_EXCHANGE and found:
            return _with_keys(found, body)
        elif kind == SERVER_HELLO_DONE:
            return found
    return found


def _read_messages(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """Handshake messages, which may be split over records and share one; RFC 5246 section 6.2.1."""
    data, total = b"", 0
    while (content := _read_handshake_record(connection)) is not None and total < LARGEST_ANSWER:
        data += content
        total += len(content)
        while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[1:4], "big")):
            yield data[0], data[4:end]
            data = data[end:]


def _with_keys(found: Agreement, body: bytes) -> Agreement:
    """RFC 8422 section 5.4 for curves, RFC 5246 section 7.4.3 for primes."""
    if ALL_1_2.get(found.suite, "").startswith(("ECDHE", "AECDH")):
        return replace(found, group=int.from_bytes(body[1:3], "big"))
    return replace(found, dh_bits=8 * int.from_bytes(body[:2], "big"))


def _read_handshake_record(connection: Connection) -> bytes | None:
    header = _read_exactly(connection, 5)
    if header is None or header[0] != HANDSHAKE:
        return None
    return _read_exactly(connection, int.from_bytes(header[3:5], "big"))


def _read_exactly(connection: Connection, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        chunk = connection.receive(size - len(data))
        if not chunk:
            return None
        data += chunk
    return data


def _read_server_hello(body: bytes) -> Agreement | None:
    try:
        (version,) = struct.unpack_from("!H", body)
        at = 35 + body[34]
        suite, compression = struct.unpack_from("!HB", body, at)
        extensions = _read_extensions(body[at + 5 :])
    except (struct.error, IndexError):
        return None
    if SUPPORTED_VERSIONS in extensions:
        version = int.from_bytes(extensions[SUPPORTED_VERSIONS], "big")
    return Agreement(
        version,
        suite,
        compression,
        has_secure_renegotiation=RENEGOTIATION_INFO in extensions,
        has_extended_master_secret=EXTENDED_MASTER_SECRET in extensions,
    )


def _read_extensions(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        number, size = struct.unpack_from("!HH", data)
        found[number], data = data[4 : 4 + size], data[4 + size :]
    return found
