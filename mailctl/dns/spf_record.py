"""SPF records as written, RFC 7208: mechanisms, modifiers, and what makes a receiver give up."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from mailctl.dns.answer import Answer

_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>[a-z][a-z0-9]*)(?::(?P<value>[^/\s]+))?(?P<cidr>(?:/\d+)?(?://\d+)?)", re.I
)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>\S*)", re.I)
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
