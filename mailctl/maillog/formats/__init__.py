"""The report for people and for machines: each module turns a Report into one format.

Everything in a Report that came out of a log was written by strangers: HELO names, addresses, replies. Each format
neutralises it in its own way (`safe`), and shows a limited number of names, whatever the log holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module

from mailctl.maillog.report import Report

DEFAULT_TOP = 10
NARROWEST = 80
"""Columns; the numbers of a narrower screen would not stand below each other."""
BOLD, DIM, RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Format(StrEnum):
    """What `--format` takes; jsonl prints messages rather than a report."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    HTML = "html"
    CSV = "csv"
    PROM = "prom"
    NAGIOS = "nagios"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many names each kind of list shows; 0 leaves the list out, as `-h 0` of pflogsumm does."""

    hosts: int = DEFAULT_TOP
    users: int = DEFAULT_TOP
    rejects: int = DEFAULT_TOP
    deferrals: int = DEFAULT_TOP
    bounces: int = DEFAULT_TOP
    warnings: int = DEFAULT_TOP
    relays: int = DEFAULT_TOP

    @classmethod
    def all_of(cls, top: int) -> Limits:
        return cls(top, top, top, top, top, top, top)


@dataclass(frozen=True, slots=True)
class Style:
    """How a report looks; `width` counts columns, and no text line is longer unless `is_verbose`."""

    limits: Limits = Limits()
    width: int = 100
    color: bool = False
    problems_first: bool = False
    hides_empty: bool = False
    is_verbose: bool = False


def render(report: Report, format_: Format, style: Style) -> str:
    """The report in one of the formats that need nothing but the report: text, json, html, csv."""
    module = import_module(f"mailctl.maillog.formats.{format_.value}")
    text: str = module.render(report, style)
    return text
