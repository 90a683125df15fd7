"""The report as a screen for a person: totals, hours, problems and what to do, deliverability, top lists."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from mailctl.maillog.formats import BOLD, DIM, NARROWEST, RESET, Style, hours, numbers
from mailctl.maillog.formats.lists import lists
from mailctl.maillog.formats.problems import Finding, Urgency, causes_of, find_problems, of_probes
from mailctl.maillog.formats.safe import printable, shortened
from mailctl.maillog.report import DomainDelivery, Report

COLORS = {Urgency.CRITICAL: "\x1b[31m", Urgency.WARNING: "\x1b[33m", Urgency.NOTICE: "\x1b[36m"}
EXAMPLES = 3

Lines = Iterator[str]
Total = tuple[str, int, str]
"""Its name, the number, a note."""


def render(report: Report, style: Style) -> str:
    """The whole screen, without a line feed at its end."""
    if not report.lines.total:
        return "Mail report: the log is empty, or holds nothing of the period asked for"
    printer = _Printer(style)
    overview = [*printer.totals(report), *printer.by_hour(report)]
    problems = [*printer.problems(find_problems(report), of_probes(report))]
    first, second = (problems, overview) if style.problems_first else (overview, problems)
    lines = [*printer.heading(report), *first, *second, *printer.deliverability(report), *lists(report, style)]
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


class _Printer:
    """The sections; each is a sequence of lines that ends with an empty one."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.width = max(style.width, NARROWEST)

    def heading(self, report: Report) -> Lines:
        period, lines = report.period, report.lines
        yield self.bold(f"Mail report  {numbers.stamp(period.first)}  to  {numbers.stamp(period.last)}")
        understood = f"{numbers.count(lines.unparsed)} of them not understood" if lines.unparsed else "all understood"
        yield from (self.dim(f"{numbers.counted(lines.total, 'line')}, {understood}"), "")

    def totals(self, report: Report) -> Lines:
        totals, delay = report.totals, report.delay
        yield self.bold("Totals")
        count, counted = numbers.count, numbers.counted
        rejected = f"{count(totals.rejected_5xx)} 5xx, {count(totals.rejected_4xx)} 4xx"
        yield from self._pairs(
            (
                ("received", totals.received, numbers.size(totals.bytes_received)),
                ("delivered", totals.delivered, numbers.size(totals.bytes_delivered)),
                ("forwarded", totals.forwarded, ""),
                ("reinjected", totals.reinjected, counted(totals.delivered_hops, "hand-over")),
                ("internal", totals.internal, counted(totals.ndn_sent, "bounce")),
                ("connections", totals.connections, ""),
            ),
            (
                ("rejected", totals.rejected, rejected),
                ("deferred", totals.deferred, f"of {counted(totals.deferred_messages, 'message')}"),
                ("bounced", totals.bounced, f"and {count(totals.expired)} expired"),
                ("held", totals.held, f"and {count(totals.discarded)} discarded"),
                ("warned", totals.reject_warnings, "would be rejected"),
                ("logins", totals.sasl_logins, f"and {count(totals.sasl_failures)} failed"),
            ),
        )
        if delay.p50 is not None:
            shown = ", ".join(
                f"{name} {numbers.seconds(getattr(delay, name))}" for name in ("p50", "p90", "p99", "max")
            )
            yield f"  delay of deliveries: {shown}"
        yield ""

    def _pairs(self, left: Sequence[Total], right: Sequence[Total]) -> Lines:
        """Two totals a line; one, where the screen is too narrow for the notes."""
        width = max(len(note) for _, _, note in left)
        digits = max(len(numbers.count(number)) for _, number, _ in right)
        starts = [f"  {name:12}{numbers.count(number):>10}  {note:{width}}" for name, number, note in left]
        ends = [(f"  {name:9}{numbers.count(number):>{digits}}  ", note) for name, number, note in right]
        if all(len(start + end + note) <= self.width for start, (end, note) in zip(starts, ends, strict=True)):
            yield from (start + end + self.dim(note) for start, (end, note) in zip(starts, ends, strict=True))
        else:
            yield from (
                f"  {name:12}{numbers.count(number):>10}  {self.dim(note)}" for name, number, note in (*left, *right)
            )

    def by_hour(self, report: Report) -> Lines:
        series = hours.series(report.by_hour, self.width - 34)
        if not series.starts:
            return
        step = "hour" if series.step == 1 else f"{series.step} hours"
        end = series.starts[-1] + timedelta(hours=series.step)
        yield self.bold(f"By {step}, from {series.starts[0]:%Y-%m-%d %H:00} to {end:%Y-%m-%d %H:00}")
        for field, values in series.counts.items():
            if any(values):
                yield f"  {field:10} {hours.blocks(values)}  {self.dim(f'at most {numbers.count(max(values))}')}"
        yield ""

    def problems(self, findings: Iterable[Finding], left_out: str) -> Lines:
        lines = [line for finding in findings for line in self._finding(finding)]
        yield from (self.bold("Problems"), *(lines or ["  none found"]))
        if left_out:
            yield self.dim(f"  {left_out}")
        yield ""

    def _finding(self, finding: Finding) -> Lines:
        head = f"  {numbers.count(finding.count)} {finding.what}: {finding.why}"
        for line in textwrap.wrap(head, self.width, subsequent_indent="    "):
            yield self._paint(COLORS[finding.urgency], line)
        shown = min(EXAMPLES, self._limit_of(finding))
        for row in finding.rows[:shown]:
            yield self._named(f"  {numbers.count(row.messages):>8}  ", row.name)
        if len(finding.rows) > shown > 0:
            rest = sum(row.messages for row in finding.rows[shown:])
            yield self.dim(f"  {numbers.count(rest):>8}  in {numbers.count(len(finding.rows) - shown)} others")
        yield from textwrap.wrap(finding.next_step, self.width, initial_indent="      → ", subsequent_indent="        ")

    def _limit_of(self, finding: Finding) -> int:
        limits = self.style.limits
        by_kind = {"deferred": limits.deferrals, "bounced": limits.bounces, "rejected": limits.rejects}
        return by_kind.get(finding.what, limits.warnings)

    def deliverability(self, report: Report) -> Lines:
        limit = self.style.limits.hosts
        domains = report.deliverability.domains[:limit]
        if not domains:
            return
        yield self.bold("Deliverability by receiving domain")
        header = f"{'delivered':>10}{'first try':>11}{'deferred':>9}{'refused':>8}{'TLS':>9}{'p50':>9}{'p95':>9}"
        yield self.dim(f"  {'':{self.width - 69}}{header}")
        for domain in domains:
            yield from self._domain(domain)
            yield from self._causes(domain)
        yield from self._more(len(report.deliverability.domains), limit)
        yield ""

    def _domain(self, domain: DomainDelivery) -> Lines:
        """Its numbers in one line with its name, or below a name that is too long for that."""
        first_try = numbers.share(domain.first_try, domain.delivered + domain.bounced)
        tls = numbers.share(domain.tls, domain.delivered)
        delays = f"{numbers.seconds(domain.delay.p50):>9}{numbers.seconds(domain.delay.p95):>9}"
        counts = f"{numbers.count(domain.deferred):>9}{numbers.count(domain.bounced):>8}"
        name, room = shortened(domain.domain, self.width - 2), self.width - 69
        if len(name) >= room:
            yield f"  {name}"
            name = ""
        yield f"  {name:{room}}{numbers.count(domain.delivered):>10}{first_try:>11}{counts}{tls:>9}{delays}"

    def _causes(self, domain: DomainDelivery) -> Lines:
        causes = [f"{numbers.count(count)} {cause.title}" for cause, count in causes_of(domain)]
        indent = " " * 6
        for line in textwrap.wrap("; ".join(causes), self.width, initial_indent=indent, subsequent_indent=indent):
            yield self.dim(line)

    def _more(self, total: int, limit: int) -> Lines:
        if total > limit:
            yield self.dim(f"{'':10}  and {numbers.count(total - limit)} more")

    def _named(self, numbers_: str, name: str) -> str:
        return numbers_ + (printable(name) if self.style.is_verbose else shortened(name, self.width - len(numbers_)))

    def bold(self, text: str) -> str:
        return self._paint(BOLD, text)

    def dim(self, text: str) -> str:
        return self._paint(DIM, text)

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{RESET}" if self.style.color and text else text
