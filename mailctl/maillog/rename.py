"""Lists under other names: rows whose new names are equal become one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from mailctl.maillog.report import OTHERS, Report, Row, Rows

Rename = Callable[[str], str]

# `list-return-17-bob=example.org@lists.example`: the number differs for each message, the rest for each recipient.
VERP_NUMBERS = re.compile(
    r"(?P<before>(?:bounce|return|sentto|noreply|nolist|\d)[^@]*?)(?:[-+_.*]\d+\b)+", re.IGNORECASE
)
VERP_RECIPIENT = re.compile(r"[-*+](?:(?:\d+|ID)[-*])?[^=*@-]+[=*][^@]+@")


def renamed(rows: Rows, rename: Rename) -> Rows:
    """The rows under new names, in the order of every list; OTHERS is not a name."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        entry = sums.setdefault(row.name if row.name == OTHERS else rename(row.name), [0, 0])
        entry[0] += row.messages
        entry[1] += row.bytes
    merged = (Row(name, messages, size) for name, (messages, size) in sums.items())
    return tuple(sorted(merged, key=lambda row: (-row.messages, row.name)))


def without_case(report: Report) -> Report:
    """Addresses that differ in case only are one, as with `pflogsumm -i`."""
    found = report.deliverability
    return replace(
        report,
        senders=renamed(report.senders, str.lower),
        recipients=renamed(report.recipients, str.lower),
        deliverability=replace(found, senders=renamed(found.senders, str.lower)),
    )


def without_verp(report: Report, forgets_recipient: bool) -> Report:
    """Senders made for one message or recipient (VERP) are one, as with `pflogsumm --verp-mung`."""

    def general(address: str) -> str:
        address = VERP_NUMBERS.sub(r"\g<before>-ID", address)
        return VERP_RECIPIENT.sub("@", address) if forgets_recipient else address

    return replace(report, senders=renamed(report.senders, general))
