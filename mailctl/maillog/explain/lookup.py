"""From a reply to its explanation: the wording first, then the enhanced code, then the reply code."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from mailctl.maillog.report import Row, Rows

UNKNOWN = "unknown"

# A code stands alone: 5.7.1 inside the address 5.7.1.9 is none.
ENHANCED = re.compile(r"(?<![\w.])#?([245]\.\d{1,3}\.\d{1,3})(?!\.?\w)", re.ASCII)
REPLY = re.compile(r"(?<![\w.:\[-])([2345]\d\d)(?=[ -]|$)", re.ASCII)
LONGEST_REPLY = 4096

# Postfix names a server `NAME[PLACE]`; a socket or a loopback address is a service of this machine.
_SERVER = r"(?:connect to|lost connection with|conversation with|host) [^\s\[]*"
OWN_SERVICE = re.compile(_SERVER + r"\[(?:private/|public/|/|127\.|::1\])")
OTHER_SAID = re.compile(r"\bhost \S+ (?:said|refused to talk to me): ")


@dataclass(frozen=True, slots=True)
class Cause:
    """A group of replies that one action answers; `next_step` is that action.

    `retried` is the action while Postfix retries, where that differs; `here` and `there` name the cause that it is
    when a service of this machine, or another server, is at fault.
    """

    name: str
    title: str
    next_step: str
    retried: str = ""
    here: str = ""
    there: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`reply` and `enhanced` are the codes found in the text, or empty; `provider` is whose wording it is, or empty."""

    cause: Cause
    meaning: str
    next_step: str
    source: str
    reply: str = ""
    enhanced: str = ""
    provider: str = ""

    @property
    def is_permanent(self) -> bool | None:
        """True for 5xx, False for 4xx, None where the text has no code. RFC 3463 section 2."""
        return _is_permanent(self.reply, self.enhanced)


@dataclass(frozen=True, slots=True)
class _Wording:
    cause: str
    meaning: str
    source: str
    provider: str = ""
    next: str = ""
    retried: str = ""
    own: bool = False
    any: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    marker: tuple[str, ...] = ()

    def matches(self, text: str, codes: frozenset[str], is_own: bool) -> bool:
        if self.own and not is_own:
            return False
        if self.marker and not any(word in text for word in self.marker):
            return False
        return any(phrase in text for phrase in self.any) or any(code in codes for code in self.code)


@functools.lru_cache(maxsize=4096)
def explain(text: str, *, given_up: bool = False, is_reply: bool = False) -> Explanation:
    """What `text`, a reply or a line of a log that holds one, means. Always answers; cause "unknown" when it cannot.

    Args:
        given_up: Postfix does not retry, whatever the text says.
        is_reply: a text that begins with a code is what another server replied, not a line of our own.
    """
    text = text[:LONGEST_REPLY]
    enhanced = _first(ENHANCED, text)
    reply = _first_reply(text, enhanced)
    is_own = OWN_SERVICE.search(text) is not None
    found = _by_wording(text, reply, enhanced, is_own) or _by_code(reply, enhanced)
    name = found.cause
    if is_own:
        name = _causes()[name].here or name
    elif OTHER_SAID.search(text) or (is_reply and REPLY.match(text)):
        name = _causes()[name].there or name
    cause = _causes()[name]
    # The remedy of a wording is for its own cause.
    steps = (found.next, found.retried) if found.next and name == found.cause else (cause.next_step, cause.retried)
    is_retried = not given_up and not _is_permanent(reply, enhanced)
    step = (is_retried and steps[1]) or steps[0]
    return Explanation(cause, found.meaning, step, found.source, reply, enhanced, found.provider)


def group_by_cause(rows: Rows, how: Callable[[str], Explanation] = explain) -> tuple[tuple[Cause, Rows], ...]:
    """Rows whose names are replies, by cause; the cause with most messages first."""
    groups: dict[Cause, list[Row]] = {}
    for row in rows:
        groups.setdefault(how(row.name).cause, []).append(row)
    return tuple(sorted(((cause, tuple(found)) for cause, found in groups.items()), key=_weight))


def _weight(group: tuple[Cause, Rows]) -> tuple[int, str]:
    cause, rows = group
    return -sum(row.messages for row in rows), cause.name


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def _first_reply(text: str, enhanced: str) -> str:
    """The reply code; the one right before the enhanced code where there is one."""
    known = _codes()["reply"]
    before = text.partition(enhanced)[0] if enhanced else text
    found = [code for code in REPLY.findall(before) if code in known]
    if not found:
        return ""
    chosen: str = found[-1] if enhanced else found[0]
    return chosen


def _is_permanent(reply: str, enhanced: str) -> bool | None:
    # smtp(8) goes by the reply code where the two differ.
    first = reply[:1] if reply[:1] in ("4", "5") else enhanced[:1]
    return {"5": True, "4": False}.get(first)


def _by_wording(text: str, reply: str, enhanced: str, is_own: bool) -> _Wording | None:
    codes = frozenset(code for code in (enhanced[2:], reply) if code)
    lowered = text.lower()
    return next((wording for wording in _wordings() if wording.matches(lowered, codes, is_own)), None)


def _by_code(reply: str, enhanced: str) -> _Wording:
    """The entry of the enhanced code; of its subject, where only that is known; of the reply code."""
    codes = _codes()
    sources = codes["sources"]
    detail, subject = enhanced[2:], f"{enhanced[2:].partition('.')[0]}.0"
    known = codes["enhanced"].get(detail) or codes["enhanced"].get(subject)
    # X.0 says nothing: the reply code may.
    if known and not (subject == "0.0" and reply):
        return _wording_of_code(known, sources["enhanced"], reply, enhanced)
    if reply:
        return _wording_of_code(codes["reply"][reply], sources["reply"], reply, enhanced)
    if enhanced:
        return _wording_of_code(codes["enhanced"]["0.0"], sources["enhanced"], reply, enhanced)
    return _Wording(UNKNOWN, "this wording is not known and holds no code", "")


def _wording_of_code(entry: tuple[str, str], source: str, reply: str, enhanced: str) -> _Wording:
    meaning, cause = entry
    # A code that succeeded, 2.7.0, shares its meaning with failures; its cause is success all the same.
    return _Wording("success" if (enhanced or reply).startswith("2") else cause, meaning, source)


@functools.cache
def _causes() -> Mapping[str, Cause]:
    return {name: Cause(name, next_step=entry.pop("next"), **entry) for name, entry in _data("causes.toml").items()}


@functools.cache
def _codes() -> Mapping[str, Any]:
    return _data("codes.toml")


@functools.cache
def _wordings() -> tuple[_Wording, ...]:
    return tuple(_Wording(**_as_tuples(entry)) for entry in _data("wordings.toml")["wording"])


def _as_tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def known_domains() -> Iterable[str]:
    """Domains of the providers in the data; anonymised replies keep them, or nobody could act on them."""
    for wording in _wordings():
        yield from (word for word in wording.marker + wording.any if re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}", word))
