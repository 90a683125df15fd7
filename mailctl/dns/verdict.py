"""What can be wrong with published DNS: a closed set of checks, and a verdict for each difference found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from mailctl.dns.answer import Answer
from mailctl.dns.record import Record

LONG_TTL = 3600  # seconds: a change takes that long to be seen, so lower it first


class Level(StrEnum):
    """FAIL: mail is lost, refused or forged. WARN: it could be better. UNKNOWN: nobody could tell."""

    FAIL = "fail"
    WARN = "warn"
    UNKNOWN = "unknown"


class Check(Enum):
    """Every check: its name, how bad a difference is, and why it matters."""

    def __init__(self, code: str, level: Level, why: str) -> None:
        self.code = code
        self.level = level
        self.why = why

    # The DNS itself
    NXDOMAIN = ("domain-nxdomain", Level.FAIL, "the domain does not exist for the world: no mail can reach it")
    SERVFAIL = ("servfail", Level.FAIL, "the zone or its servers are broken: senders keep the mail and give up later")
    BOGUS = (
        "dnssec-bogus",
        Level.FAIL,
        "who checks DNSSEC sees nothing of it: sign the zone anew, or mend the DS record",
    )
    LOOP = ("cname-loop", Level.FAIL, "an alias that leads nowhere answers nothing")
    TIMEOUT = ("timeout", Level.UNKNOWN, "nobody answered in time, so nothing can be said")
    REFUSED = ("refused", Level.UNKNOWN, "the DNS server does not answer us; try another with --nameserver")
    MALFORMED = ("malformed", Level.UNKNOWN, "the name cannot be asked for, or the reply cannot be read")

    # Servers
    ADDRESS_MISSING = ("address-missing", Level.FAIL, "nobody finds the server by its name")
    ADDRESS_DIFFERS = ("address-differs", Level.FAIL, "mail goes to another machine, or HELO fails where it is checked")
    PTR_MISSING = ("ptr-missing", Level.FAIL, "many receivers refuse mail from an address without a name")
    PTR_MISMATCH = (
        "ptr-mismatch",
        Level.FAIL,
        "the name of the address does not lead back to it: receivers call it forged",
    )
    PTR_OTHER = ("ptr-other", Level.WARN, "the address has another name than the server says in HELO")
    HELO_SPF_MISSING = (
        "helo-spf-missing",
        Level.WARN,
        "bounces carry no sender, so receivers check SPF of the HELO name",
    )
    TLSA_MISMATCH = ("tlsa-mismatch", Level.FAIL, "senders that check DANE refuse to deliver: the key is another one")
    TLSA_UNSIGNED = ("tlsa-unsigned", Level.WARN, "a TLSA record counts only where DNSSEC protects it")
    LISTED = ("listed", Level.FAIL, "receivers that use the list refuse the server's mail")
    BLOCKLIST_DEAD = (
        "blocklist-dead",
        Level.WARN,
        "the list is closed; it is not asked: remove it from dns.blocklists",
    )
    BLOCKLIST_SILENT = (
        "blocklist-silent",
        Level.UNKNOWN,
        "the list does not know its own test address: it says nothing",
    )
    BLOCKLIST_REFUSES = ("blocklist-refuses", Level.UNKNOWN, "the list answers with an error code, which is no listing")
    BLOCKLIST_WILDCARD = ("blocklist-wildcard", Level.UNKNOWN, "the list has everybody, so it says nothing")

    # MX
    MX_MISSING = ("mx-missing", Level.FAIL, "senders find no server for the domain")
    MX_NULL = ("mx-null", Level.FAIL, "a null MX says that the domain takes no mail; senders bounce it at once")
    MX_LACKS = ("mx-lacks", Level.FAIL, "mail does not come to a server that the spec has for it")
    MX_FOREIGN = ("mx-foreign", Level.WARN, "mail may go to a server that is not in the spec")
    MX_ORDER = ("mx-order", Level.WARN, "a backup that is asked first holds all mail until it finds the primary")
    MX_LOOPS = (
        "mx-loops",
        Level.FAIL,
        "this server does not take mail for the domain: what comes here is refused or loops",
    )
    MX_ADDRESS = ("mx-address", Level.FAIL, "an MX names a host; an address there is refused by most senders")
    MX_CNAME = ("mx-cname", Level.FAIL, "an MX must not be an alias (RFC 5321 section 5.1): some senders refuse it")
    MX_UNRESOLVED = ("mx-unresolved", Level.FAIL, "senders try a host without an address for days, then bounce")
    MX_PRIVATE = ("mx-private", Level.FAIL, "nobody outside reaches such an address")

    # SPF
    SPF_MISSING = ("spf-missing", Level.FAIL, "large receivers refuse mail from domains without SPF or DKIM")
    SPF_MULTIPLE = (
        "spf-multiple",
        Level.FAIL,
        "two SPF records are an error: receivers treat it as none or as a failure",
    )
    SPF_PERMERROR = ("spf-permerror", Level.FAIL, "receivers cannot read the record and treat it as a failure")
    SPF_LOOKUPS = ("spf-lookups", Level.FAIL, "receivers stop at 10 look-ups and treat the record as an error")
    SPF_VOID = ("spf-void", Level.FAIL, "receivers stop at 2 names that do not exist and treat the record as an error")
    SPF_LACKS_SERVER = ("spf-lacks-server", Level.FAIL, "the server's own mail fails SPF")
    SPF_LACKS_RELAY = ("spf-lacks-relay", Level.FAIL, "mail through the relay fails SPF")
    SPF_OPEN = ("spf-open", Level.FAIL, "+all lets the whole world send as the domain")
    SPF_SOFT = ("spf-soft", Level.WARN, "without -all receivers take forged mail too")
    SPF_PTR = ("spf-ptr", Level.WARN, "ptr is slow, and RFC 7208 section 5.5 says not to use it")

    # DKIM
    DKIM_MISSING = ("dkim-missing", Level.FAIL, "signatures cannot be verified: mail counts as unsigned")
    DKIM_MULTIPLE = ("dkim-multiple", Level.FAIL, "with two records at one selector the result is anybody's guess")
    DKIM_INVALID = ("dkim-invalid", Level.FAIL, "verifiers cannot use the record: mail counts as unsigned")
    DKIM_MISMATCH = (
        "dkim-mismatch",
        Level.FAIL,
        "mail is signed with another key than the published one: every signature fails",
    )
    DKIM_REVOKED = ("dkim-revoked", Level.FAIL, "an empty p= says that the key is revoked: every signature fails")
    DKIM_TESTING = ("dkim-testing", Level.WARN, "t=y tells verifiers to treat signed mail as unsigned")
    DKIM_SHORT = ("dkim-short", Level.WARN, "RSA keys under 2048 bits are weak, and under 1024 ignored (RFC 8301)")

    DKIM_PENDING = ("dkim-pending", Level.WARN, "the next key cannot sign until its record is seen")
    DKIM_NOT_RETIRED = ("dkim-not-retired", Level.WARN, "whoever got hold of the old key can still sign with it")

    # DMARC
    DMARC_MISSING = (
        "dmarc-missing",
        Level.FAIL,
        "anybody may send as the domain, and large receivers ask for a policy",
    )
    DMARC_MULTIPLE = ("dmarc-multiple", Level.FAIL, "two DMARC records count as none")
    DMARC_INVALID = ("dmarc-invalid", Level.FAIL, "receivers ignore a record they cannot read")
    DMARC_WEAKER = ("dmarc-weaker", Level.WARN, "receivers are more lenient than the spec wants")
    DMARC_PARTIAL = (
        "dmarc-partial",
        Level.WARN,
        "pct below 100 or t=y lets forged mail through",
    )
    DMARC_NO_REPORTS = ("dmarc-no-reports", Level.WARN, "without rua= nobody tells you who sends as the domain")
    DMARC_REPORTS_REFUSED = ("dmarc-reports-refused", Level.WARN, "reports go elsewhere only where that domain agrees")

    # A domain without mail
    PARKED_MX = (
        "parked-mx",
        Level.WARN,
        "without a null MX senders try for days to deliver to a domain that takes none",
    )
    PARKED_SPF = ("parked-spf", Level.WARN, "anybody may send as a domain that sends nothing")
    PARKED_DMARC = ("parked-dmarc", Level.WARN, "receivers do not know that all mail from the domain is forged")

    # TLS
    MTA_STS_MISSING = (
        "mta-sts-missing",
        Level.FAIL,
        "senders do not know of the policy, and deliver without protection",
    )
    MTA_STS_INVALID = ("mta-sts-invalid", Level.FAIL, "senders ignore a record that they cannot read, or two of them")
    MTA_STS_OLD = ("mta-sts-old", Level.WARN, "the id stands for another policy: senders do not fetch the new one")
    MTA_STS_HOST = ("mta-sts-host", Level.FAIL, "senders fetch the policy from a host that does not exist")
    MTA_STS_LEFT = (
        "mta-sts-left",
        Level.WARN,
        "the spec has no policy; publish mode none before you take the record away",
    )
    TLSRPT_MISSING = ("tlsrpt-missing", Level.WARN, "nobody tells you when senders cannot use TLS with you")
    TLSRPT_INVALID = ("tlsrpt-invalid", Level.WARN, "senders ignore a record that they cannot read, or two of them")

    # Mail programs
    SRV_MISSING = ("srv-missing", Level.WARN, "mail programs cannot find the server by themselves")
    SRV_DIFFERS = (
        "srv-differs",
        Level.WARN,
        "mail programs are sent to another server, or to a service that is not offered",
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One difference: what was found at which name, and the records to publish instead of those of that name and type.

    `domain` is the domain or server whose mail suffers.
    """

    check: Check
    domain: str
    name: str
    found: str
    paste: tuple[Record, ...] = ()
    hint: str = ""

    @property
    def level(self) -> Level:
        return self.check.level

    @property
    def key(self) -> tuple[str, str, str]:
        """What stays the same from run to run while the difference lasts."""
        return (self.domain, self.check.code, self.name)


def ttl_hint(answer: Answer) -> str:
    """What to do before a change, where the published record lives long."""
    if answer.ttl <= LONG_TTL:
        return ""
    return (
        f"the world remembers the present record for {_hours(answer.ttl)}: set its TTL to 300 that long before a change"
    )


def _hours(seconds: int) -> str:
    hours = round(seconds / 3600)
    return "an hour" if hours <= 1 else f"{hours} hours"
