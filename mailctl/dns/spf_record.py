"""SPF records as written, RFC 7208: mechanisms, modifiers, and what makes a receiver give up."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from mailctl.dns.answer import Answer

_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>[a-z][a-z0-9]*)(?P<colon>:(?P<value>\S*?))?"
    r"(?P<cidr>(?:/(?:0|[1-9]\d{0,2}))?(?://(?:0|[1-9]\d{0,2}))?)",
    re.IGNORECASE,
)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>\S*)", re.IGNORECASE)
# Section 7.1; the letters c, r and t are for explanations only.
_MACRO = r"%(?:\{[slodiphv]\d*r?[.+,/_=-]*\}|[%_-])"
_MACRO_STRING = re.compile(rf"(?:{_MACRO}|[!-$&-~])*", re.IGNORECASE)
_ENDS_IN_MACRO = re.compile(rf"(?:{_MACRO}|[!-$&-~])*{_MACRO}", re.IGNORECASE)
_TOP_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
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
    # Whatever is neither ASCII nor printable has become an escape.
    if not text.isascii() or "\\" in text:
        raise PermError("it holds a character that SPF does not have")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text.split()[1:]:
        if modifier := _MODIFIER.fullmatch(term):
            _add_modifier(modifiers, term, modifier["name"].lower(), modifier["value"])
        else:
            mechanisms.append(_mechanism(term))
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect", ""))


def _add_modifier(modifiers: dict[str, str], term: str, name: str, value: str) -> None:
    if name in ("redirect", "exp"):
        if name in modifiers:
            raise PermError(f"{name}= is there twice")
        _check_domain(term, value)
    elif not _MACRO_STRING.fullmatch(value):
        raise PermError(f"{term!r} holds a % that begins no macro")
    modifiers[name] = value


def _mechanism(term: str) -> Mechanism:
    match = _TERM.fullmatch(term)
    if match is None:
        raise PermError(f"{term!r} is no mechanism")
    name, value = match["name"].lower(), match["value"] or ""
    result = QUALIFIERS[match["qualifier"]]
    if name in _NETWORKS:
        return Mechanism(term, name, result, network=_network(term, name, value + match["cidr"]))
    if name not in _WITH_NAME | _WITH_CIDR | _PLAIN:
        raise PermError(f"{term!r} is no mechanism")
    if name == "all" and match["colon"]:
        raise PermError(f"{term!r}: all takes no name")
    if match["cidr"] and name not in _WITH_CIDR:
        raise PermError(f"{term!r}: {name} takes no prefix length")
    if match["colon"] or name in _WITH_NAME:
        _check_domain(term, value)
    return Mechanism(term, name, result, value, _prefixes(term, match["cidr"]))


def _check_domain(term: str, value: str) -> None:
    """A name, or what macros make one of: it ends in a macro or in a label that is no number, section 7.1."""
    if not _MACRO_STRING.fullmatch(value):
        raise PermError(f"{term!r} holds a % that begins no macro")
    if _ENDS_IN_MACRO.fullmatch(value):
        return
    _, dot, top = value.removesuffix(".").rpartition(".")
    if not dot or top.isdigit() or not _TOP_LABEL.fullmatch(top):
        raise PermError(f"{term!r} names no domain")


def _network(term: str, name: str, value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        if re.search(r"/0\d", value):
            raise ValueError(value)
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
