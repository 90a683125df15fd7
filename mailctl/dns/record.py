"""One DNS record to publish, as a value and as a line of a zone file."""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.dkim.keys import quote_strings

TTL = 3600  # seconds
# The last word of these is a name, which a zone file takes for one below its origin unless a dot ends it.
ENDS_IN_NAME = frozenset({"MX", "SRV", "PTR", "CNAME"})


@dataclass(frozen=True, slots=True)
class Record:
    """A record in the form of `Answer.values`: strings joined, names without a final dot.

    `domain` is whose mail needs it, `purpose` why, in one line.
    """

    domain: str
    name: str
    rdtype: str
    value: str
    purpose: str
    ttl: int = TTL

    @property
    def rdata(self) -> str:
        """The value as a zone file has it: long text split into strings of 255 bytes, names ended by a dot."""
        if self.rdtype == "TXT":
            return quote_strings(self.value)
        if self.rdtype in ENDS_IN_NAME and not self.value.endswith("."):
            return f"{self.value}."
        return self.value

    @property
    def zone_line(self) -> str:
        return f"{self.name}. {self.ttl} IN {self.rdtype} {self.rdata}"
