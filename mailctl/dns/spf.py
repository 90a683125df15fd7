"""Evaluates SPF records, RFC 7208: what a receiver would find, and how many look-ups it costs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.spf_record import Mechanism, PermError, Result, SpfRecord, parse_spf, spf_texts

Ask = Callable[[str, str], Answer]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_MX = 10  # names of one mx mechanism, section 4.6.4
# Receivers stop at 10; we go on, so that the number is known, but not into a trap.
TRAP = 50

_NEEDS_CLIENT = re.compile(r"%\{[iv]", re.IGNORECASE)
_MACRO = re.compile(r"%\{([slodiphv])(\d*)(r?)([.+,/_=-]*)\}|%([%_-])", re.I)


class TempError(Exception):
    """A DNS error stopped the evaluation."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer))
        self.answer = answer


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
            if self._needs_client(record.redirect):
                return Result.NEUTRAL
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
        value = mechanism.value or domain
        if self._needs_client(value):
            return False
        name = self._expand(value, domain)
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

    def _needs_client(self, text: str) -> bool:
        """Whether a name depends on a client we do not have."""
        return self.client is None and _NEEDS_CLIENT.search(text) is not None

    def _expand(self, text: str, domain: str) -> str:
        """Macros of section 7, for mail from postmaster@domain by a client that calls itself by that domain."""
        values = {"s": f"postmaster@{domain}", "l": "postmaster", "p": "unknown"} | dict.fromkeys("odh", domain)
        if self.client is not None:
            is_ipv4 = self.client.version == 4
            values["i"] = str(self.client) if is_ipv4 else ".".join(self.client.exploded.replace(":", ""))
            values["v"] = "in-addr" if is_ipv4 else "ip6"
        return _MACRO.sub(lambda match: _macro_value(match, values), text).lower().rstrip(".")


def _macro_value(match: re.Match[str], values: Mapping[str, str]) -> str:
    letter, count, is_reversed, delimiters, escape = match.groups()
    if escape:
        return {"%": "%", "_": " ", "-": "%20"}[escape]
    parts = re.split(f"[{re.escape(delimiters or '.')}]", values[letter.lower()])
    if is_reversed:
        parts.reverse()
    return ".".join(parts[-int(count) :] if count else parts)
