"""Reads and evaluates SPF records, RFC 7208: what a receiver would find, and how many look-ups it costs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mailctl.dns.answer import Answer, Outcome

Ask = Callable[[str, str], Answer]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_MX = 10  # names of one mx mechanism, section 4.6.4
# Receivers stop at 10; we go on, so that the number is known, but not into a trap.
TRAP = 50

_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>[a-z][a-z0-9]*)(?::(?P<value>[^/\s]+))?(?P<cidr>(?:/\d+)?(?://\d+)?)", re.I
)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>\S*)", re.I)
_MACRO = re.compile(r"%\{([slodiphcrtv])(\d*)(r?)([.+,/_=-]*)\}|%([%_-])", re.I)
_WITH_NAME = frozenset({"include", "exists"})
_WITH_CIDR = frozenset({"a", "mx"})
_PLAIN = frozenset({"all", "ptr"})
_NETWORKS = {"ip4": 4, "ip6": 6}


class Result(StrEnum):
    """Section 2.6."""

    PASS = "pass"  # noqa: S105 - a result of SPF
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"


QUALIFIERS = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL, "": Result.PASS}


class PermError(Exception):
    """The record cannot be interpreted; the message says why."""


class TempError(Exception):
    """A DNS error stopped the evaluation."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer))
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Mechanism:
    """`-all`, `include:x`, `a:x/24//64`: the result where it matches. `network` for ip4 and ip6 only."""

    text: str
    name: str
    result: Result
    value: str = ""
    prefixes: tuple[int, int] = (32, 128)
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A record that could be read."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str = ""

    @property
    def ends_in(self) -> Result | None:
        """What happens to everybody else; None where another record decides."""
        for mechanism in self.mechanisms:
            if mechanism.name == "all":
                return mechanism.result
        return None if self.redirect else Result.NEUTRAL


def spf_texts(answer: Answer) -> tuple[str, ...]:
    """The SPF records among the TXT records of a name."""
    return tuple(text for text in answer.values if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 "))


def parse_spf(text: str) -> SpfRecord:
    """The record as written.

    Raises:
        PermError: a receiver could not read it.
    """
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text.split()[1:]:
        if modifier := _MODIFIER.fullmatch(term):
            name = modifier["name"].lower()
            if name in modifiers and name in ("redirect", "exp"):
                raise PermError(f"{name}= is there twice")
            modifiers[name] = modifier["value"]
        else:
            mechanisms.append(_mechanism(term))
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect", ""))


def _mechanism(term: str) -> Mechanism:
    match = _TERM.fullmatch(term)
    if match is None and term.lower().lstrip("+-~?").startswith(("ip6:", "ip4:")):
        # The colons of an IPv6 address are no part of the general shape.
        match = re.fullmatch(
            r"(?P<qualifier>[+?~-]?)(?P<name>ip[46]):(?P<value>[^/\s]+)(?P<cidr>(?:/\d+)?)", term, re.I
        )
    if match is None:
        raise PermError(f"{term!r} is no mechanism")
    name, value = match["name"].lower(), match["value"] or ""
    result = QUALIFIERS[match["qualifier"]]
    if name in _NETWORKS:
        return Mechanism(term, name, result, network=_network(term, name, value + match["cidr"]))
    if name not in _WITH_NAME | _WITH_CIDR | _PLAIN:
        raise PermError(f"{term!r} is no mechanism")
    if name in _WITH_NAME and not value:
        raise PermError(f"{term!r} names nothing")
    if name == "all" and value:
        raise PermError(f"{term!r}: all takes no name")
    if match["cidr"] and name not in _WITH_CIDR:
        raise PermError(f"{term!r}: {name} takes no prefix length")
    return Mechanism(term, name, result, value, _prefixes(term, match["cidr"]))


def _network(term: str, name: str, value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise PermError(f"{term!r} holds no network") from error
    if network.version != _NETWORKS[name]:
        raise PermError(f"{term!r} holds a network of IP version {network.version}")
    return network


def _prefixes(term: str, cidr: str) -> tuple[int, int]:
    match = re.fullmatch(r"(?:/(\d+))?(?://(\d+))?", cidr)
    four, six = (int(match[1] or 32), int(match[2] or 128)) if match else (33, 129)
    if four > 32 or six > 128:
        raise PermError(f"{term!r} has a prefix length that does not exist")
    return four, six


@dataclass(slots=True)
class Evaluation:
    """One evaluation of a domain's record, for one client address, or for one that nothing matches (None).

    That one meets every term there is, so its `lookups` and `voids` are the most a receiver can count.
    """

    ask: Ask
    client: Address | None = None
    lookups: int = 0
    voids: int = 0
    included: set[str] = field(default_factory=set)
    _open: list[str] = field(default_factory=list)

    def of_text(self, domain: str, text: str) -> Result:
        """The result for a record that may be published or not.

        Raises:
            PermError, TempError: see section 2.6.
        """
        if domain in self._open:
            raise PermError(f"{domain} includes itself")
        self._open.append(domain)
        result = self._of_record(domain, parse_spf(text))
        self._open.pop()
        return result

    def _of_record(self, domain: str, record: SpfRecord) -> Result:
        for mechanism in record.mechanisms:
            if self._matches(domain, mechanism):
                return mechanism.result
        if record.redirect and record.ends_in is None:
            self._count(record.redirect)
            result = self._of_domain(self._expand(record.redirect, domain))
            if result is Result.NONE:
                raise PermError(f"redirect={record.redirect}: no SPF record there")
            return result
        return Result.NEUTRAL

    def _of_domain(self, domain: str) -> Result:
        self.included.add(domain)
        texts = spf_texts(self._ask(domain, "TXT"))
        if len(texts) > 1:
            raise PermError(f"{domain} has {len(texts)} SPF records")
        return self.of_text(domain, texts[0]) if texts else Result.NONE

    def _matches(self, domain: str, mechanism: Mechanism) -> bool:
        match mechanism.name:
            case "all":
                # Nothing may match the client that is to meet every term, but nothing follows this one either.
                return True
            case "ip4" | "ip6":
                return self.client is not None and mechanism.network is not None and self.client in mechanism.network
        self._count(mechanism.text)
        name = self._expand(mechanism.value or domain, domain)
        if "%" in name:
            return False  # depends on a client we do not have
        match mechanism.name:
            case "include":
                result = self._of_domain(name)
                if result is Result.NONE:
                    raise PermError(f"{mechanism.text}: no SPF record there")
                return result is Result.PASS and self.client is not None
            case "a":
                return self._is_among(self._addresses(name), mechanism)
            case "mx":
                return self._is_among(list(self._mx_addresses(name)), mechanism)
            case "exists":
                return self._ask(name, "A").outcome is Outcome.FOUND and self.client is not None
        return False  # ptr: nobody should publish it, and we do not follow it

    def _count(self, term: str) -> None:
        self.lookups += 1
        if self.lookups > TRAP:
            raise PermError(f"more than {TRAP} look-ups at {term!r}")

    def _addresses(self, name: str) -> tuple[str, ...]:
        rdtype = "AAAA" if self.client is not None and self.client.version == 6 else "A"
        return self._ask(name, rdtype).values

    def _mx_addresses(self, name: str) -> Iterator[str]:
        exchangers = self._ask(name, "MX").values
        if len(exchangers) > MOST_MX:
            raise PermError(f"mx:{name} names {len(exchangers)} hosts, more than {MOST_MX}")
        for value in exchangers:
            host = value.partition(" ")[2]
            if host != ".":
                yield from self._addresses(host)

    def _is_among(self, addresses: tuple[str, ...] | list[str], mechanism: Mechanism) -> bool:
        if self.client is None:
            return False
        prefix = mechanism.prefixes[0 if self.client.version == 4 else 1]
        return any(self.client in ipaddress.ip_network(f"{address}/{prefix}", strict=False) for address in addresses)

    def _ask(self, name: str, rdtype: str) -> Answer:
        answer = self.ask(name, rdtype)
        if answer.outcome.is_absent:
            self.voids += 1
        elif answer.outcome in (Outcome.LOOP, Outcome.MALFORMED):
            raise PermError(f"{name}: {answer}")
        elif answer.outcome is not Outcome.FOUND:
            raise TempError(answer)
        return answer

    def _expand(self, text: str, domain: str) -> str:
        """Macros of section 7, for mail from postmaster@domain; what needs a client stays where there is none."""

        def value(match: re.Match[str]) -> str:
            if match[5]:
                return {"%": "%", "_": " ", "-": "%20"}[match[5]]
            known = {
                "s": f"postmaster@{domain}",
                "l": "postmaster",
                "o": domain,
                "d": domain,
                "h": domain,
                "p": "unknown",
            }
            if self.client is not None:
                dotted = (
                    ".".join(self.client.exploded.replace(":", "")) if self.client.version == 6 else str(self.client)
                )
                known |= {"i": dotted, "v": "in-addr" if self.client.version == 4 else "ip6"}
            if match[1].lower() not in known:
                return match[0]
            parts = re.split(f"[{re.escape(match[4] or '.')}]", known[match[1].lower()])
            parts = parts[::-1] if match[3] else parts
            return ".".join(parts[-int(match[2]) :] if match[2] else parts)

        return _MACRO.sub(value, text).lower().rstrip(".")
