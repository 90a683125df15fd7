"""Block lists of addresses, asked as RFC 5782 says: first what the list must answer, then what we want to know."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.judge import TROUBLES, Judge
from mailctl.dns.verdict import Check, Verdict

# RFC 5782 section 5: these must be listed, and these must not.
LISTED_FOR_TEST = {4: "127.0.0.2", 6: "::ffff:7f00:2"}
NEVER_LISTED = {4: "127.0.0.1", 6: "::ffff:7f00:1"}

ERRORS = ipaddress.ip_network("127.255.255.0/24")
LISTINGS = ipaddress.ip_network("127.0.0.0/8")
# https://www.spamhaus.com/resource-center/if-you-query-the-legacy-dnsbls-via-dns-error-codes/
MEANINGS = {
    "127.255.255.252": "the name of the list is mistyped",
    "127.255.255.254": "it does not answer public resolvers; ask through a resolver of your own",
    "127.255.255.255": "too many questions came from this resolver",
}

# Closed lists: some are gone, some answer that everybody is listed, so that the last users notice.
DEAD: Mapping[str, str] = {
    "bl.emailbasura.org": "is closed",
    "blackholes.five-ten-sg.com": "is closed",
    "blacklist.woody.ch": "is closed",
    "cbl.abuseat.org": "is part of zen.spamhaus.org since 2021",
    "combined.njabl.org": "was closed in 2013",
    "dnsbl.ahbl.org": "was closed in 2015, and listed the whole world",
    "dnsbl.inps.de": "is closed",
    "dnsbl.njabl.org": "was closed in 2013",
    "dnsbl.sorbs.net": "was closed in June 2024",
    "ix.dnsbl.manitu.net": "was closed in January 2025",
    "list.dsbl.org": "was closed in 2008",
    "opm.blitzed.org": "was closed in 2006",
    "relays.ordb.org": "was closed in 2006, and listed the whole world",
    "sbl-xbl.spamhaus.org": "is part of zen.spamhaus.org",
    "spam.dnsbl.sorbs.net": "was closed in June 2024",
}


def check_blocklists(judge: Judge, address: str) -> Iterator[Verdict]:
    """What each list of the spec says about an address; a list that fails its own test says nothing."""
    for zone in judge.spec.dns.blocklists:
        if zone in DEAD:
            yield judge.verdict(Check.BLOCKLIST_DEAD, zone, f"{zone} {DEAD[zone]}")
        else:
            yield from _check_list(judge, zone, address)


def _check_list(judge: Judge, zone: str, address: str) -> Iterator[Verdict]:
    version = ipaddress.ip_address(address).version
    test = judge.ask(blocklist_name(LISTED_FOR_TEST[version], zone), "A")
    if version == 6 and test.outcome.is_absent:
        return  # a list of IPv4 addresses
    yield from judge.trouble(test)
    if test.outcome in TROUBLES:
        return
    if _errors(test):
        yield from _refuses(judge, zone, test)
    elif not _listings(test):
        yield judge.verdict(Check.BLOCKLIST_SILENT, zone, f"{test.question.name}: {_said(test)}")
    elif judge.ask(blocklist_name(NEVER_LISTED[version], zone), "A").outcome is Outcome.FOUND:
        yield judge.verdict(Check.BLOCKLIST_WILDCARD, zone, f"{zone} has {NEVER_LISTED[version]} too")
    else:
        yield from _check_address(judge, zone, address)


def _check_address(judge: Judge, zone: str, address: str) -> Iterator[Verdict]:
    name = blocklist_name(address, zone)
    answer = judge.ask(name, "A")
    yield from judge.trouble(answer)
    if _errors(answer):
        yield from _refuses(judge, zone, answer)
    elif _listings(answer):
        reason = " ".join(judge.ask(name, "TXT").values)
        found = f"{zone} lists {address} ({', '.join(answer.values)}) {reason}".strip()
        yield judge.verdict(Check.LISTED, f"{address} {zone}", found)
    elif answer.values:
        yield judge.verdict(Check.BLOCKLIST_WILDCARD, zone, f"{zone} answers with {', '.join(answer.values)}")


def _refuses(judge: Judge, zone: str, answer: Answer) -> Iterator[Verdict]:
    code = _errors(answer)[0]
    yield judge.verdict(Check.BLOCKLIST_REFUSES, zone, f"{zone} says {code}: {MEANINGS.get(code, 'an error')}")


def blocklist_name(address: str, zone: str) -> str:
    """The address in reverse before the name of the list, RFC 5782 section 2."""
    parts = ipaddress.ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return f"{parts}.{zone}"


def _errors(answer: Answer) -> list[str]:
    return [value for value in answer.values if ipaddress.ip_address(value) in ERRORS]


def _listings(answer: Answer) -> list[str]:
    return [value for value in answer.values if ipaddress.ip_address(value) in LISTINGS]


def _said(answer: Answer) -> str:
    return ", ".join(answer.values) or str(answer)
