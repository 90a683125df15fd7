"""Whatever strangers put into a log is inert in every format, and does not make a report grow without end."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mailctl.maillog import summarise
from mailctl.maillog.formats import Format, Limits, Style, nagios, prom, render
from mailctl.maillog.report import OTHERS, Deliverability, DomainDelivery, Rejects, Report, Row
from tests.maillog.formats.samples import DAY, HOSTILE_NAMES, hostile

ALL_SHOWN = Style(limits=Limits.all_of(100), is_verbose=True)
TEXT_FORMATS = (Format.TEXT, Format.JSON, Format.HTML, Format.CSV)


@pytest.mark.parametrize("format_", TEXT_FORMATS)
def test_no_format_prints_a_control_character(format_: Format) -> None:
    text = render(hostile(), format_, ALL_SHOWN)
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    text.encode()  # no lone surrogate either
    assert "evil.example" in text


def test_text_in_colour_has_no_escape_but_its_own() -> None:
    text = render(hostile(), Format.TEXT, Style(color=True))
    assert set(re.findall(r"\x1b[^m]*m?", text)) <= {f"\x1b[{code}m" for code in (0, 1, 2, 31, 33, 36)}


def test_a_text_line_stays_within_the_screen() -> None:
    rows = (Row("x" * 5000, 10**9, 10**12),)
    report = replace(DAY, senders=rows, warnings=(Row(f"y: warning: {'z' * 5000}", 1),), bounces=rows)
    lines = render(report, Format.TEXT, Style(width=80)).splitlines()
    assert max(map(len, lines)) <= 80


def test_json_gives_the_names_back() -> None:
    names = [row["name"] for row in json.loads(render(hostile(), Format.JSON, ALL_SHOWN))["senders"]]
    undecodable = "bytes\udcff\udcfe"
    assert names == [name if name != undecodable else r"bytes\udcff\udcfe" for name in HOSTILE_NAMES]


def test_no_csv_cell_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(render(hostile(), Format.CSV, ALL_SHOWN))))
    assert {len(row) for row in rows} == {4}
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))]
    assert "'=cmd|' /C calc'!A0" in cells


class _Page(HTMLParser):
    """The tags of a page, with what a browser would do for each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""


def test_html_runs_and_loads_nothing() -> None:
    page = _Page(render(hostile(), Format.HTML, ALL_SHOWN))
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "link", "form", "a", "base"}
    assert not [name for name in page.attributes if name.startswith("on") or name in ("style", "src", "href")]
    assert "default-src 'none'" in page.policy
    assert "unsafe" not in page.policy


def test_template_syntax_of_a_stranger_is_text() -> None:
    text = render(hostile(), Format.HTML, ALL_SHOWN)
    assert "{{ 7*7 }}" in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


SAMPLE = re.compile(r'[a-z0-9_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"\})? -?[0-9.e+]+')


def test_every_line_of_the_metrics_is_well_formed() -> None:
    report = hostile()
    lines = prom.render(prom.grown({}, report), report).splitlines()
    assert [line for line in lines if not line.startswith("# ") and not SAMPLE.fullmatch(line)] == []
    assert any(r"quo\"te\\\\back" in line or r"quo\"te\\back" in line for line in lines)


def test_an_attacker_cannot_make_time_series() -> None:
    sums: dict[str, int] = {}
    for run in range(5):
        codes = tuple(Row(f"55{run} 5.7.{number}", 1) for number in range(1000))
        sums = prom.grown(sums, Report(rejects=Rejects(by_code=codes)))
    series = [line for line in prom.render(sums, Report()).splitlines() if line.startswith("mailctl_mail_rejected_by")]
    assert len(series) == prom.MOST_VALUES + 1
    assert f'mailctl_mail_rejected_by_code_total{{code="{OTHERS}"}} {5000 - prom.MOST_VALUES}' in series


@pytest.mark.parametrize("format_", TEXT_FORMATS)
def test_a_report_of_many_names_stays_small(format_: Format) -> None:
    rows = tuple(Row(f"name-{number}@example.org", 1) for number in range(20_000))
    domains = tuple(DomainDelivery(f"{number}.example", delivered=1, reasons=rows[:50]) for number in range(20_000))
    report = Report(senders=rows, recipients=rows, deferrals=rows, deliverability=Deliverability(domains=domains))
    assert len(render(report, format_, Style())) < 100_000


def test_the_line_for_nagios_is_one_line_whatever_the_log_holds() -> None:
    line, _ = nagios.render(hostile(), {}, {})
    assert line.isprintable()
    assert line.count("|") == 1


@pytest.mark.parametrize("format_", TEXT_FORMATS)
def test_from_the_log_to_the_screen_nothing_dangerous_passes(format_: Format) -> None:
    names = [name.encode(errors="surrogateescape").replace(b"\n", b"") for name in HOSTILE_NAMES]
    log = [line for number, name in enumerate(names) for line in _lines_with(number, name)]
    text = render(summarise(log), format_, ALL_SHOWN)
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    text.encode()
    assert "evil.example" in text
    if format_ is Format.HTML:
        assert not _Page(text).tags & {"script", "img"}


def _lines_with(number: int, name: bytes) -> list[bytes]:
    """A day of an attacker: HELO, sender, recipient, login and reply are his words."""
    header = b"2026-03-01T10:00:%02d+00:00 mx postfix/" % number
    queue_id = b"A%011X" % number
    return [
        header + b"smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <" + name + b">: Relay access "
        b"denied; from=<" + name + b"> to=<" + name + b"> proto=ESMTP helo=<" + name + b">\n",
        header
        + b"smtpd[1]: "
        + queue_id
        + b": client="
        + name
        + b"[192.0.2.1], sasl_method=PLAIN, sasl_username="
        + name
        + b"\n",
        header + b"qmgr[2]: " + queue_id + b": from=<" + name + b">, size=1, nrcpt=1 (queue active)\n",
        header + b"smtp[3]: " + queue_id + b": to=<" + name + b">, relay=" + name + b"[192.0.2.2]:25, delay=1, "
        b"delays=0/0/0/1, dsn=5.0.0, status=bounced (host x said: 550 " + name + b" (in reply to RCPT TO command))\n",
        header + b"smtpd[1]: warning: " + name + b"\n",
    ]
