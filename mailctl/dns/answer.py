"""What a DNS server said, as values: every byte of it made harmless, every length capped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailctl.errors import printable

LONGEST_VALUE = 4096  # characters of one record
MOST_VALUES = 64  # records of one answer


class Outcome(StrEnum):
    """How a question ended. Only FOUND carries values."""

    FOUND = "found"
    NO_DATA = "no data"  # the name exists, not with this type
    NXDOMAIN = "nxdomain"  # the name does not exist
    SERVFAIL = "servfail"
    BOGUS = "bogus dnssec"  # a validating resolver refuses what is published, because a signature is wrong
    TIMEOUT = "timeout"  # nobody answered in time
    REFUSED = "refused"  # the server does not answer this question, or not for us
    LOOP = "cname loop"
    MALFORMED = "malformed"  # the name cannot be asked for, or the reply cannot be read

    @property
    def is_absent(self) -> bool:
        """The world agrees that nothing is there; everything else that is not FOUND means that nobody knows."""
        return self in (Outcome.NO_DATA, Outcome.NXDOMAIN)


@dataclass(frozen=True, slots=True)
class Question:
    """A name without its final dot, in lower case, and a record type such as `TXT`."""

    name: str
    rdtype: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question.

    `values` are records as text: strings of a TXT record joined, names in lower case without final dots
    (`10 mx1.example.org`), the rest as in a zone file. `canonical` is where CNAMEs lead, the name asked for where
    there are none. `ttl` is in seconds. `is_authenticated` is the word of the resolver (AD). `detail` says more about
    an outcome, for people.
    """

    question: Question
    outcome: Outcome
    values: tuple[str, ...] = ()
    ttl: int = 0
    canonical: str = ""
    is_authenticated: bool = False
    detail: str = ""

    @property
    def is_alias(self) -> bool:
        """Whether the name is a CNAME."""
        return self.canonical not in ("", self.question.name)

    def __str__(self) -> str:
        """The outcome in words: `timeout (no answer from 192.0.2.53)`."""
        return f"{self.outcome} ({self.detail})" if self.detail else str(self.outcome)


def harmless(raw: bytes | str) -> str:
    """Bytes or text of a stranger as printable text of bounded length; an ESC becomes `\\x1b`."""
    text = raw.decode(errors="backslashreplace") if isinstance(raw, bytes) else raw
    if len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}[cut]"
    return printable(text.replace("\t", " "))
