"""The report as one HTML file: no script, nothing loaded from elsewhere, a policy that forbids both."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2

from mailctl.maillog.formats import Style, hours, numbers
from mailctl.maillog.formats.chart import HEIGHT, Chart, stacked
from mailctl.maillog.formats.limit import limited
from mailctl.maillog.formats.problems import Finding, causes_of, find_problems, of_probes
from mailctl.maillog.formats.safe import printable, shortened
from mailctl.maillog.report import DEFINITIONS, DomainDelivery, Report, Row, Rows

PACKAGE = Path(__file__).parents[2]
COLUMNS = 96
EXAMPLES = 5
LEVEL = 12
"""Characters of a TLS level; Postfix's own words are shorter."""
TILES = ("received", "delivered", "rejected", "deferred", "bounced", "expired")
SIZES = {"received": "bytes_received", "delivered": "bytes_delivered"}


@dataclass(frozen=True, slots=True)
class Tile:
    """A total: `note` is small print below the number, `meaning` its definition."""

    name: str
    number: str
    note: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table; `share` is the width of its bar, from 0 to 100, of the table's first row."""

    name: str
    messages: str
    size: str
    share: str


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    lines: tuple[Line, ...]
    more: str


@dataclass(frozen=True, slots=True)
class Problem:
    urgency: str
    head: str
    step: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """A receiving domain: `cells` are its numbers, `causes` why mail was put off or refused there."""

    name: str
    cells: tuple[str, ...]
    causes: str


@dataclass(frozen=True, slots=True)
class View:
    """What the template shows, as ready strings."""

    title: str
    understood: str
    policy: str
    css: str
    height: int
    tiles: tuple[Tile, ...]
    totals: tuple[Tile, ...]
    charts: tuple[Chart, ...]
    problems: tuple[Problem, ...]
    left_out: str
    domains: tuple[Domain, ...]
    tables: tuple[Table, ...]


def render(report: Report, style: Style) -> str:
    text: str = _environment().get_template("report.html.j2").render(view=_view(report, style))
    return text.rstrip("\n")


def _view(report: Report, style: Style) -> View:
    css = (_templates() / "report.css").read_text(encoding="utf-8")
    lines = report.lines
    return View(
        title=f"Mail report {numbers.stamp(report.period.first)} to {numbers.stamp(report.period.last)}",
        understood=f"{numbers.counted(lines.total, 'line')}, {numbers.count(lines.unparsed)} not understood",
        policy=f"default-src 'none'; style-src '{_digest(css)}'; base-uri 'none'; form-action 'none'",
        css=css,
        height=HEIGHT,
        tiles=tuple(_tile(report, name) for name in TILES),
        totals=tuple(_tile(report, name) for name in DEFINITIONS),
        charts=tuple(_charts(report)),
        problems=tuple(map(_problem, find_problems(report))),
        left_out=of_probes(report),
        domains=tuple(map(_domain, report.deliverability.domains[: style.limits.hosts])),
        tables=tuple(_tables(report, style)),
    )


def _digest(css: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()}"


def _tile(report: Report, name: str) -> Tile:
    totals = asdict(report.totals)
    is_size = name.startswith("bytes_")
    number = numbers.size(totals[name]) if is_size else numbers.count(totals[name])
    note = numbers.size(totals[SIZES[name]]) if name in SIZES else ""
    return Tile(name.replace("_", " "), number, note, DEFINITIONS[name])


def _charts(report: Report) -> Iterator[Chart]:
    series = hours.series(report.by_hour, COLUMNS)
    for title, kinds in (("Delivered", ["delivered"]), ("Not delivered", ["rejected", "deferred", "bounced"])):
        chart = stacked(title, series, kinds)
        if chart:
            yield chart


def _problem(finding: Finding) -> Problem:
    head = f"{numbers.count(finding.count)} {finding.what}: {finding.why}"
    rows = finding.rows[:EXAMPLES]
    return Problem(finding.urgency.name.lower(), head, finding.next_step, tuple(_lines(rows)))


def _domain(domain: DomainDelivery) -> Domain:
    levels = ", ".join(f"{shortened(row.name, LEVEL)} {numbers.count(row.messages)}" for row in domain.levels[:4])
    cells = (
        numbers.count(domain.delivered),
        numbers.share(domain.first_try, domain.delivered + domain.bounced),
        numbers.count(domain.deferred),
        numbers.count(domain.bounced),
        numbers.share(domain.tls, domain.delivered),
        levels,
        numbers.seconds(domain.delay.p50),
        numbers.seconds(domain.delay.p95),
    )
    causes = "; ".join(f"{numbers.count(count)} {cause.title}" for cause, count in causes_of(domain))
    return Domain(printable(domain.domain), cells, causes)


def _tables(report: Report, style: Style) -> Iterator[Table]:
    cut = limited(report, style.limits)
    for title, whole, shown in (
        ("Senders", report.senders, cut.senders),
        ("Recipients", report.recipients, cut.recipients),
        ("Sender domains", report.sender_domains, cut.sender_domains),
        ("Recipient domains", report.recipient_domains, cut.recipient_domains),
        ("Relays", report.relays, cut.relays),
        ("Senders in trouble", report.deliverability.senders, cut.deliverability.senders),
        ("Relays in trouble", report.deliverability.relays, cut.deliverability.relays),
        ("Deferred, by reason", report.deferrals, cut.deferrals),
        ("Bounced, by reason", report.bounces, cut.bounces),
        ("Rejected, by reason", report.rejects.by_class, cut.rejects.by_class),
        ("Rejected, by reply", report.rejects.by_code, cut.rejects.by_code),
        ("Rejected clients", report.rejects.by_client, cut.rejects.by_client),
        ("Logins", report.sasl.by_user, cut.sasl.by_user),
        ("Failed logins, by client", report.sasl.by_client, cut.sasl.by_client),
        ("TLS, incoming", report.tls.inbound, cut.tls.inbound),
        ("TLS, outgoing", report.tls.outbound, cut.tls.outbound),
        ("Warnings", report.warnings, cut.warnings),
    ):
        if shown:
            rest = len(whole) - len(shown)
            yield Table(title, tuple(_lines(shown)), f"and {numbers.count(rest)} more" if rest else "")


def _lines(rows: Rows) -> Iterator[Line]:
    most = max((row.messages for row in rows), default=0) or 1
    return (_line(row, most) for row in rows)


def _line(row: Row, most: int) -> Line:
    size = numbers.size(row.bytes) if row.bytes else ""
    return Line(printable(row.name), numbers.count(row.messages), size, f"{100 * row.messages / most:.0f}")


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_templates()),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _templates() -> Path:
    """Inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "templates"
    return (inside if inside.is_dir() else PACKAGE.parent / "templates") / "maillog"
