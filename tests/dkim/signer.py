"""Signs messages with any tags, also those no signer would write."""

from __future__ import annotations

import base64
import hashlib

import dkim
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import HASH_ALGORITHMS, RSASSA_PKCS1_v1_5_sign, parse_pem_private_key

from mailctl.host import LocalHost

MESSAGE = (
    b"From: Ali <ali@example.org>\r\nTo: bob@example.com\r\nSubject: a word\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nHello  there \r\n\r\n"
)
HEADER = "DKIM-Signature"


class Signer:
    """A private key, and the record of its public half."""

    def __init__(self, bits: int = 2048) -> None:
        host = LocalHost()
        self.private = host.run(["openssl", "genrsa", "-traditional", str(bits)]).stdout
        public = host.run(["openssl", "rsa", "-pubout", "-outform", "DER"], stdin=self.private).stdout
        self.key = base64.b64encode(public).decode()
        self.record = f"v=DKIM1; k=rsa; p={self.key}"

    def sign(self, message: bytes = MESSAGE, header: str = HEADER, **tags: str | None) -> bytes:
        """`message` with one more signature on top; a tag of None is left out."""
        parsed = dkim.DKIM(message)
        wanted = {
            "v": "1",
            "a": "rsa-sha256",
            "c": "relaxed/relaxed",
            "d": "example.org",
            "s": "s1",
            "h": "from:to:subject",
        }
        fields = {name: value for name, value in {**wanted, **tags}.items() if value is not None}
        policy = CanonicalizationPolicy.from_c_value(fields.get("c", "simple/simple").encode())
        hash_name = fields.get("a", "rsa-sha256").rpartition("-")[2]
        body = policy.canonicalize_body(parsed.body)
        length = fields.get("l", "")
        body = body[: int(length)] if length.isdigit() else body
        fields.setdefault("bh", base64.b64encode(hashlib.new(hash_name, body).digest()).decode())
        value = b" " + "; ".join(f"{name}={text}" for name, text in fields.items()).encode() + b"; b="
        hasher = HASH_ALGORITHMS.get(fields.get("a", "").encode(), hashlib.sha256)()
        names = [name.strip().lower().encode() for name in fields.get("h", "").split(":")]
        headers = policy.canonicalize_headers(parsed.headers)
        dkim.hash_headers(hasher, policy, headers, names, (header.encode(), value), fields)
        signature = base64.b64encode(RSASSA_PKCS1_v1_5_sign(hasher, parse_pem_private_key(self.private)))
        return header.encode() + b":" + value + signature + b"\r\n" + message

    def seal(self, message: bytes, domain: str, instance: int) -> bytes:
        """`message` with one more ARC set on top, as a mailing list adds it; RFC 8617 section 5.1."""
        results = f"ARC-Authentication-Results: i={instance}; {domain}; dkim=pass\r\n".encode()
        signed = self.sign(message, "ARC-Message-Signature", v=None, i=str(instance), d=domain, s="k1")
        verdict = "none" if instance == 1 else "pass"
        seal = f" i={instance}; a=rsa-sha256; cv={verdict}; d={domain}; s=k1; b=".encode()
        # The sets of before stand below: their fields are hashed from the first set on.
        fields = [field for field in dkim.DKIM(results + signed).headers if field[0].lower().startswith(b"arc-")]
        sets = [fields[start : start + 3] for start in range(2, len(fields), 3)][::-1]
        earlier = [field for seal_first in sets for field in (seal_first[1], seal_first[2], seal_first[0])]
        policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
        hasher = hashlib.sha256()
        for name, value in policy.canonicalize_headers([*earlier, *fields[:2]]):
            hasher.update(name + b":" + value)
        ((name, value),) = policy.canonicalize_headers([(b"ARC-Seal", seal)])
        hasher.update(name + b":" + value.rstrip())
        signature = base64.b64encode(RSASSA_PKCS1_v1_5_sign(hasher, parse_pem_private_key(self.private)))
        return b"ARC-Seal:" + seal + signature + b"\r\n" + results + signed
