"""`verify_message`: what each signature of a message is worth, and why; RFC 6376, RFC 8301, verdicts of RFC 8601.

dkimpy does the cryptography. Stricter here: a signature that expired is no signature (dkimpy forgives ten hours), SHA-1
and RSA keys under 1024 bits are refused (RFC 8301), and From must be signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mailctl.dkim.message import Bodies, from_domains, require_bounded, shown
from mailctl.dkim.public_key import FORBIDDEN_BITS, WEAK_BITS, KeyAnswer, PublicKeyRecord
from mailctl.dkim.signature import BodyHash, FindOrganisation, Signature, Verdict, Verification, alignment
from mailctl.dkim.tags import key_bytes, rsa_bits
from mailctl.errors import MailctlError, missing_modules

MOST_SIGNATURES = 10
LARGEST_SIGNATURE = 8192  # bytes of one field; RSA with 4096 bits and a hundred signed fields need under 3000
CLOCK_SKEW = timedelta(minutes=5)  # by how much a signer's clock may be ahead
ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
NEEDED_TAGS = ("v", "a", "b", "bh", "d", "h", "s")
ED25519_BITS = 256

FindKey = Callable[[str], KeyAnswer]


def verify_message(
    content: bytes, find_key: FindKey, now: datetime, find_organisation: FindOrganisation
) -> Verification:
    """The verdict on every signature of a message, whatever it holds.

    Args:
        find_key: gives the public key record of a DNS name.
        find_organisation: gives the domain somebody registered, `example.org` for `mail.example.org`.

    Raises:
        MailctlError: this is no message, or one too large to look at.
        UnfitError: dkimpy is not installed.
    """
    message = open_message(content)
    authors = from_domains(message.headers)
    values = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
    bodies = Bodies(message.body)
    signatures = (
        _Examination(message, bodies, find_key, now, position, value).run()
        for position, value in enumerate(values[:MOST_SIGNATURES])
    )
    aligned = (replace(each, alignment=alignment(each.domain, authors, find_organisation)) for each in signatures)
    return Verification(authors, tuple(aligned), len(values[MOST_SIGNATURES:]))


def open_message(content: bytes, kind: str = "DKIM") -> Any:
    """dkimpy's reader of a message: `headers`, `body`, `verify`; `kind` is DKIM or ARC.

    Raises: as verify_message does.
    """
    require_bounded(content)
    try:
        import dkim
    except ModuleNotFoundError as error:
        raise missing_modules("dkimpy") from error
    try:
        message = getattr(dkim, kind)(content)
    except (dkim.DKIMException, IndexError) as error:
        raise MailctlError(f"this is no message: {shown(str(error))}") from error
    if not message.headers:
        raise MailctlError("this is no message: it has no header")
    return message


class _RefusedError(Exception):
    """A signature is worth nothing, and why."""

    def __init__(self, reason: str, verdict: Verdict = Verdict.PERMERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.verdict = verdict


class _Examination:
    """Looks at one signature, step by step; what is known when it is refused is kept."""

    def __init__(
        self, message: Any, bodies: Bodies, find_key: FindKey, now: datetime, position: int, value: bytes
    ) -> None:
        self._message = message
        self._bodies = bodies
        self._find_key = find_key
        self._now = now
        self._position = position
        self._value = value
        self._found = Signature(position + 1, Verdict.FAIL)

    def run(self) -> Signature:
        try:
            tags = self._read_tags()
            self._describe(tags)
            self._check_tags(tags)
            self._check_times(tags)
            self._compare_body(tags)
            record = self._find_record(tags)
            self._check_key(tags, record)
            self._check_signature(record)
        except _RefusedError as refused:
            return replace(self._found, verdict=refused.verdict, reason=refused.reason)
        return replace(self._found, verdict=Verdict.PASS)

    def _read_tags(self) -> dict[str, str]:
        from dkim.util import InvalidTagValueList, parse_tag_value

        if len(self._value) > LARGEST_SIGNATURE:
            raise _RefusedError(f"it is longer than {LARGEST_SIGNATURE} bytes")
        try:
            tags = parse_tag_value(self._value)
        except (InvalidTagValueList, IndexError) as error:
            raise _RefusedError(f"it cannot be read at {shown(str(error))!r}") from error
        return {key.decode("ascii", "backslashreplace"): shown_tag(value) for key, value in tags.items()}

    def _describe(self, tags: Mapping[str, str]) -> None:
        domain = tags.get("d", "").lower().rstrip(".")
        self._found = replace(
            self._found,
            domain=shown(domain),
            selector=shown(tags.get("s", "")),
            algorithm=shown(tags.get("a", "")),
            canonicalization=shown(tags.get("c", "simple/simple")),
            fields=tuple(shown(each.strip().lower()) for each in tags.get("h", "").split(":")) if "h" in tags else (),
        )

    def _check_tags(self, tags: Mapping[str, str]) -> None:
        if missing := [name for name in NEEDED_TAGS if not tags.get(name)]:
            raise _RefusedError(f"it has no {missing[0]}= tag")
        if tags["a"] == "rsa-sha1":
            raise _RefusedError("rsa-sha1 counts for nothing any more (RFC 8301)")
        if tags["a"] not in ALGORITHMS:
            raise _RefusedError(f"its algorithm {shown(tags['a'])!r} is unknown")
        if "from" not in self._found.fields:
            raise _RefusedError("it does not sign From")
        if "l" in tags:
            self._note(f"signs only the first {shown(tags['l'])} bytes of the body: anybody can add to it")

    def _check_times(self, tags: Mapping[str, str]) -> None:
        signed, expires = _moment(tags, "t"), _moment(tags, "x")
        self._found = replace(self._found, signed=signed, expires=expires)
        if signed and signed > self._now + CLOCK_SKEW:
            raise _RefusedError(f"it was signed in the future: {signed:%Y-%m-%d %H:%M} UTC")
        if expires and expires <= self._now:
            raise _RefusedError(f"it expired: {expires:%Y-%m-%d %H:%M} UTC", Verdict.FAIL)
        if signed and expires and expires < signed:
            raise _RefusedError("it expires before it was signed")

    def _compare_body(self, tags: Mapping[str, str]) -> None:
        wanted = _base64(tags["bh"], "bh")
        if hashlib.sha256(self._canonical_body(tags)).digest() == wanted:
            self._found = replace(self._found, body_hash=BodyHash.OK)
        else:
            self._found = replace(self._found, body_hash=BodyHash.MISMATCH)
            raise _RefusedError("the body was changed after it was signed", Verdict.FAIL)

    def _canonical_body(self, tags: Mapping[str, str]) -> bytes:
        from dkim.canonicalization import CanonicalizationPolicy, InvalidCanonicalizationPolicyError

        try:
            policy = CanonicalizationPolicy.from_c_value(tags.get("c", "simple/simple").encode())
        except InvalidCanonicalizationPolicyError as error:
            raise _RefusedError(f"its canonicalization {shown(tags['c'])!r} is unknown") from error
        body = self._bodies.canonical(policy.body_algorithm)
        if "l" not in tags:
            return body
        if not tags["l"].isdecimal() or len(tags["l"]) > 12:
            raise _RefusedError("its l= tag is no number")
        if int(tags["l"]) > len(body):
            raise _RefusedError("its l= tag says more than the body has", Verdict.FAIL)
        return body[: int(tags["l"])]

    def _find_record(self, tags: Mapping[str, str]) -> PublicKeyRecord:
        name = f"{tags['s']}._domainkey.{tags['d']}"
        answer = self._find_key(name)
        if answer.problem:
            verdict = Verdict.TEMPERROR if answer.is_temporary else Verdict.PERMERROR
            raise _RefusedError(f"no public key at {shown(name)}: {shown(answer.problem)}", verdict)
        try:
            return PublicKeyRecord.parse(answer.record)
        except ValueError as error:
            raise _RefusedError(f"the public key at {shown(name)} is of no use: {shown(str(error))}") from error

    def _check_key(self, tags: Mapping[str, str], record: PublicKeyRecord) -> None:
        if not record.key:
            raise _RefusedError("the key was revoked: its p= is empty")
        if record.key_type != ALGORITHMS[tags["a"]]:
            raise _RefusedError(f"the key is of type {shown(record.key_type)!r}, the signature {tags['a']}")
        if not record.allows("h", "sha256"):
            raise _RefusedError("the key is not for sha256 (h=)")
        if not record.allows("s", "email"):
            raise _RefusedError("the key is not for mail (s=)")
        identity = tags.get("i", f"@{tags['d']}").rpartition("@")[2].lower()
        domain = tags["d"].lower()
        if identity != domain and ("s" in record.flags or not identity.endswith(f".{domain}")):
            raise _RefusedError(f"it speaks for {shown(identity)!r} (i=), which the key is not for")
        if "y" in record.flags:
            self._note("the domain only tests DKIM (t=y): verifiers may treat its mail as unsigned")
        self._check_length(record)

    def _check_length(self, record: PublicKeyRecord) -> None:
        try:
            bits = rsa_bits(key_bytes(record.key)) if record.key_type == "rsa" else ED25519_BITS
        except ValueError as error:
            raise _RefusedError(str(error)) from error
        self._found = replace(self._found, bits=bits)
        if record.key_type == "rsa" and bits < FORBIDDEN_BITS:
            raise _RefusedError(f"its RSA key has {bits} bits: under {FORBIDDEN_BITS} counts for nothing (RFC 8301)")
        if record.key_type == "rsa" and bits < WEAK_BITS:
            self._note(f"its RSA key has only {bits} bits; {WEAK_BITS} are the rule")

    def _check_signature(self, record: PublicKeyRecord) -> None:
        text = "; ".join(f"{name}={value}" for name, value in record.tags.items()).encode()
        try:
            tags, fields, signatures = self._message.verify_headerprep(self._position)
            # The body was compared already: without bh= dkimpy does not do it again, which takes long.
            del tags[b"bh"]
            field = signatures[self._position]
            is_valid = self._message.verify_sig(tags, fields, field, lambda name, timeout=5: text)
        except Exception as error:  # whatever dkimpy stumbles over in a stranger's signature is his fault, not ours
            reason = shown(str(error)) or type(error).__name__
            raise _RefusedError(f"it cannot be checked: {reason}") from error
        if not is_valid:
            raise _RefusedError("a signed field of the header was changed, or another key signed it", Verdict.FAIL)

    def _note(self, text: str) -> None:
        self._found = replace(self._found, notes=(*self._found.notes, text))


def shown_tag(value: bytes) -> str:
    """The value of a tag without the folding; of another encoding than UTF-8 as escapes."""
    return "".join(value.decode("utf-8", "backslashreplace").split())


def _moment(tags: Mapping[str, str], name: str) -> datetime | None:
    if name not in tags:
        return None
    if not (tags[name].isascii() and tags[name].isdecimal() and len(tags[name]) <= 11):
        raise _RefusedError(f"its {name}= tag is no time")
    return datetime.fromtimestamp(int(tags[name]), UTC)


def _base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _RefusedError(f"its {name}= tag is no base64") from error
