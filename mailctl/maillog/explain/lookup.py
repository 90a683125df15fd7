"""From a reply to its explanation: the wording first, then the enhanced code, then the reply code."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from mailctl.maillog.report import Row, Rows

UNKNOWN = "unknown"

# A code stands alone: 5.7.1 inside the address 5.7.1.9 is none.
ENHANCED = re.compile(r"(?<![\w.])#?([245]\.\d{1,3}\.\d{1,3})(?!\.?\w)", re.ASCII)
REPLY = re.compile(r"(?<![\w.:\[-])([2345]\d\d)(?=[ -]|$)", re.ASCII)
LONGEST_REPLY = 4096


@dataclass(frozen=True, slots=True)
class Cause:
    """A group of replies that one action answers; `next_step` is that action."""

    name: str
    title: str
    next_step: str


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
        first = (self.enhanced or self.reply)[:1]
        return {"5": True, "4": False}.get(first)


@dataclass(frozen=True, slots=True)
class _Wording:
    cause: str
    meaning: str
    source: str
    provider: str = ""
    next: str = ""
    any: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    marker: tuple[str, ...] = ()

    def matches(self, text: str, codes: frozenset[str]) -> bool:
        if self.marker and not any(word in text for word in self.marker):
            return False
        return any(phrase in text for phrase in self.any) or any(code in codes for code in self.code)


@functools.lru_cache(maxsize=4096)
def explain(text: str) -> Explanation:
    """What `text`, a reply or a line of a log that holds one, means. Always answers; cause "unknown" when it cannot."""
    text = text[:LONGEST_REPLY]
    enhanced = _first(ENHANCED, text)
    reply = _first_reply(text, enhanced)
    codes = frozenset(code for code in (enhanced[2:], reply) if code)
    lowered = text.lower()
    for wording in _wordings():
        if wording.matches(lowered, codes):
            cause = _causes()[wording.cause]
            step = wording.next or cause.next_step
            return Explanation(cause, wording.meaning, step, wording.source, reply, enhanced, wording.provider)
    return _by_code(reply, enhanced)


def group_by_cause(rows: Rows) -> tuple[tuple[Cause, Rows], ...]:
    """Rows whose names are replies, by cause; the cause with most messages first."""
    groups: dict[Cause, list[Row]] = {}
    for row in rows:
        groups.setdefault(explain(row.name).cause, []).append(row)
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


def _by_code(reply: str, enhanced: str) -> Explanation:
    codes = _codes()
    sources = codes["sources"]
    detail = enhanced[2:]
    # X.0.0 says nothing: the reply code may.
    if detail in codes["enhanced"] and not (detail == "0.0" and reply):
        meaning, name = codes["enhanced"][detail]
        return _explanation(name, meaning, sources["enhanced"], reply, enhanced)
    if reply:
        meaning, name = codes["reply"][reply]
        return _explanation(name, meaning, sources["reply"], reply, enhanced)
    if enhanced:
        meaning, name = codes["enhanced"].get(f"{detail.partition('.')[0]}.0", codes["enhanced"]["0.0"])
        return _explanation(name, meaning, sources["enhanced"], reply, enhanced)
    return _explanation(UNKNOWN, "this wording is not known and holds no code", "", reply, enhanced)


def _explanation(name: str, meaning: str, source: str, reply: str, enhanced: str) -> Explanation:
    # A code that succeeded, 2.7.0, shares its meaning with failures; its cause is success all the same.
    cause = _causes()["success" if (enhanced or reply).startswith("2") else name]
    return Explanation(cause, meaning, cause.next_step, source, reply, enhanced)


@functools.cache
def _causes() -> Mapping[str, Cause]:
    return {name: Cause(name, entry["title"], entry["next"]) for name, entry in _data("causes.toml").items()}


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
