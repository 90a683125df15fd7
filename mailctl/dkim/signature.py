"""What a signature of a message is found to be worth, as values; verdicts of RFC 8601, alignment of RFC 7489."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

FindOrganisation = Callable[[str], str]


class Verdict(StrEnum):
    """The words of Authentication-Results, RFC 8601 section 2.7.1."""

    PASS = "pass"  # noqa: S105 - a word of the RFC
    FAIL = "fail"
    TEMPERROR = "temperror"  # asking again later may help
    PERMERROR = "permerror"


class BodyHash(StrEnum):
    OK = "ok"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"


class Alignment(StrEnum):
    """How the signing domain fits the author's, RFC 7489 section 3.1.1."""

    STRICT = "strict"
    RELAXED = "relaxed"  # of the same organisation
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature, counted from 1 at the top; times are aware, None where it names none."""

    number: int
    verdict: Verdict
    reason: str = ""
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    canonicalization: str = ""
    bits: int = 0
    body_hash: BodyHash = BodyHash.UNKNOWN
    alignment: Alignment = Alignment.NONE
    signed: datetime | None = None
    expires: datetime | None = None
    fields: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in a message; `authors` are the domains in From, `unread` counts the signatures left out."""

    authors: tuple[str, ...]
    signatures: tuple[Signature, ...]
    unread: int = 0

    @property
    def is_verified(self) -> bool:
        return any(each.verdict is Verdict.PASS for each in self.signatures)


def alignment(domain: str, authors: tuple[str, ...], find_organisation: FindOrganisation) -> Alignment:
    """How the signing domain fits the one domain in From; several authors align with nobody."""
    if len(authors) != 1 or not domain:
        return Alignment.NONE
    (author,) = authors
    if author == domain:
        return Alignment.STRICT
    return Alignment.RELAXED if find_organisation(author) == find_organisation(domain) else Alignment.NONE


def problems_of(found: Verification) -> Iterator[str]:
    """What is wrong with the message as a whole."""
    if not found.signatures:
        yield "the message is not signed"
    if len(found.authors) > 1:
        yield f"From names several domains ({', '.join(found.authors)}): no signature aligns with them"
    if found.unread:
        yield f"{found.unread} more signatures were not looked at"
