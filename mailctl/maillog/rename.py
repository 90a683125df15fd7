"""Lists under other names: rows whose new names are equal become one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from mailctl.maillog.report import OTHERS, Report, Row, Rows

Rename = Callable[[str], str]

# `list-return-17-bob=example.org@lists.example`: the number differs for each message, the rest for each recipient.
VERP_WORD = re.compile(r"bounce[ds]?|no(?:list|reply|response)|return|sentto|\d+", re.IGNORECASE)
VERP_NUMBERS = re.compile(r"(?:[-+_.*]\d+\b)+")
# `a.example!bob@gateway`: a host without a dot gave the message on; the address is `bob@a.example`, by way of it.
BANG_PATH = re.compile(r"(?P<path>.*!)?(?P<host>[^!]+)!(?P<user>[^!@]+)@(?P<gateway>[^.]+)")
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
        address = _without_number(address)
        return VERP_RECIPIENT.sub("@", address) if forgets_recipient else address

    return replace(report, senders=renamed(report.senders, general))


def _without_number(address: str) -> str:
    """The first numbers behind a word that lists use, or behind other numbers, become `ID`."""
    localpart, at, domain = address.rpartition("@")
    word = VERP_WORD.search(localpart)
    found = word and VERP_NUMBERS.search(localpart, word.end())
    return f"{localpart[: found.start()]}-ID{localpart[found.end() :]}{at}{domain}" if found else address


def without_bang_paths(report: Report) -> Report:
    """Addresses that a UUCP gateway rewrote are those they were before, as with `pflogsumm --uucp-mung`."""
    return replace(
        report,
        senders=renamed(report.senders, without_bang_path),
        sender_domains=_moved(report.sender_domains, report.senders),
        recipients=renamed(report.recipients, without_bang_path),
        recipient_domains=_moved(report.recipient_domains, report.recipients),
    )


def without_bang_path(address: str) -> str:
    match = BANG_PATH.fullmatch(address)
    if match is None:
        return address
    return f"{match['gateway']}!{match['path'] or ''}{match['user']}@{match['host']}"


def _moved(domains: Rows, addresses: Rows) -> Rows:
    """The list of domains after addresses changed theirs."""
    moves = list(domains)
    for row in addresses:
        address = without_bang_path(row.name)
        if address != row.name:
            moves.append(Row(_domain(row.name), -row.messages, -row.bytes))
            moves.append(Row(_domain(address), row.messages, row.bytes))
    return tuple(row for row in renamed(tuple(moves), str) if row.messages)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
