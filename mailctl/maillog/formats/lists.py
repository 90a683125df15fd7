"""The top lists of the text report: two beside each other where the screen is wide enough."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from mailctl.maillog.formats import BOLD, DIM, NARROWEST, RESET, Style, numbers
from mailctl.maillog.formats.safe import printable, shortened
from mailctl.maillog.report import Report, Rows

TWO_COLUMNS = 96
BETWEEN = 4


@dataclass(frozen=True, slots=True)
class _List:
    title: str
    rows: Rows
    limit: int


@dataclass(frozen=True, slots=True)
class _Line:
    """A line before it is padded and painted; `code` is an escape sequence or empty."""

    text: str
    code: str = ""

    def painted(self, width: int, color: bool) -> str:
        text = f"{self.text:{width}}"
        return f"{self.code}{text}{RESET}" if color and self.code else text


def lists(report: Report, style: Style) -> Iterator[str]:
    """Every list that has names and is not limited to none; those without names in one sentence."""
    pairs = [tuple(each for each in pair if each.limit) for pair in _pairs(report, style)]
    for pair in pairs:
        if filled := [each for each in pair if each.rows]:
            yield from _side_by_side(filled, style)
    empty = [each.title for pair in pairs for each in pair if not each.rows]
    if empty and not style.hides_empty:
        wrapped = textwrap.wrap(f"Nothing to list: {'; '.join(empty)}", max(style.width, NARROWEST))
        yield from (_Line(line, DIM).painted(0, style.color) for line in wrapped)


def _pairs(report: Report, style: Style) -> Iterator[tuple[_List, ...]]:
    limits, found, rejects = style.limits, report.deliverability, report.rejects
    sasl, tls = report.sasl, report.tls
    yield _List("Senders", report.senders, limits.users), _List("Recipients", report.recipients, limits.users)
    yield (
        _List("Sender domains", report.sender_domains, limits.hosts),
        _List("Recipient domains", report.recipient_domains, limits.hosts),
    )
    yield (_List("Relays", report.relays, limits.relays),)
    yield (
        _List("Senders deferred or refused", found.senders, limits.users),
        _List("Relays that defer or refuse", found.relays, limits.relays),
    )
    yield (_List("Deferred, by reason", report.deferrals, limits.deferrals),)
    yield (_List("Bounced, by reason", report.bounces, limits.bounces),)
    yield (_List("Rejected, by reason", rejects.by_class, limits.rejects),)
    yield (
        _List("Rejected, by reply", rejects.by_code, limits.rejects),
        _List("Rejected clients", rejects.by_client, limits.hosts),
    )
    yield _List("Logins", sasl.by_user, limits.users), _List("Failed logins by client", sasl.by_client, limits.hosts)
    yield (
        _List("TLS, incoming connections", tls.inbound, limits.hosts),
        _List("TLS, outgoing connections", tls.outbound, limits.hosts),
    )
    yield (
        _List("TLS, trust of outgoing", tls.levels, limits.hosts),
        _List("Status codes of deliveries", report.dsn, limits.hosts),
    )
    yield (_List("Warnings", report.warnings, limits.warnings),)


def _side_by_side(found: list[_List], style: Style) -> Iterator[str]:
    width = max(style.width, NARROWEST)
    if len(found) == 2 and width >= TWO_COLUMNS and not style.is_verbose:
        half = (width - BETWEEN) // 2
        left, right = (list(_block(each, half, style)) for each in found)
        blank = _Line("")
        for one, two in zip_longest(left, right, fillvalue=blank):
            yield f"{one.painted(half, style.color)}{'':{BETWEEN}}{two.painted(0, style.color)}".rstrip()
        yield ""
        return
    for each in found:
        yield from (line.painted(0, style.color) for line in _block(each, width, style))
        yield ""


def _block(found: _List, width: int, style: Style) -> Iterator[_Line]:
    yield _Line(found.title, BOLD)
    shown = found.rows[: found.limit]
    has_sizes = any(row.bytes for row in shown)
    for row in shown:
        size = f"{numbers.size(row.bytes):>9}" if has_sizes else ""
        start = f"{numbers.count(row.messages):>8}{size}  "
        yield _Line(start + (printable(row.name) if style.is_verbose else shortened(row.name, width - len(start))))
    rest = len(found.rows) - found.limit
    if rest > 0:
        yield _Line(f"{'':8}  and {numbers.count(rest)} more", DIM)
