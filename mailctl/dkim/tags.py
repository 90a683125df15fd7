"""Records made of `tag=value;`: DKIM (RFC 6376 section 3.2), DMARC, MTA-STS, TLSRPT; the length of a public key."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def parse_tags(text: str) -> Mapping[str, str]:
    """The tags by name, in their order.

    Raises:
        ValueError: a part is no `tag=value`, or a tag is there twice.
    """
    tags: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, is_tag, value = (piece.strip() for piece in part.partition("="))
        if not (is_tag and _NAME.fullmatch(name)):
            raise ValueError(f"{part.strip()[:40]!r} is no tag=value")
        if name in tags:
            raise ValueError(f"the tag {name}= is there twice")
        tags[name] = value
    return tags


def key_bytes(text: str) -> bytes:
    """The key of a `p=` tag, which may hold white space.

    Raises:
        ValueError: it is not base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("p= is not base64") from error


def rsa_bits(der: bytes) -> int:
    """The length of the modulus of a SubjectPublicKeyInfo or a bare RSAPublicKey, in bits.

    Raises:
        ValueError: it is neither.
    """
    try:
        return _rsa_bits(der)
    except IndexError as error:
        raise ValueError("p= holds no RSA key") from error


def _rsa_bits(der: bytes) -> int:
    tag, content, _ = _element(der)
    if tag == 0x30 and content[0] == 0x30:  # SEQUENCE { algorithm, BIT STRING { no unused bits, RSAPublicKey } }
        _, _, rest = _element(content)
        tag, bits, _ = _element(rest)
        if tag != 0x03:
            raise ValueError("p= holds no RSA key")
        tag, content, _ = _element(bits[1:])
    number, modulus, _ = _element(content)
    if tag != 0x30 or number != 0x02:
        raise ValueError("p= holds no RSA key")
    return int.from_bytes(modulus, "big").bit_length()


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """The first element of DER (X.690 section 8.1): its tag, its content, what follows."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise ValueError("p= holds no whole key")
    return der[0], der[start : start + length], der[start + length :]
