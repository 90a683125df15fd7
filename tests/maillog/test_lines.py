"""Single lines: forms that later versions of Postfix write, forms that mislead, and lines that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_logs import RUNS, recorded_lines

from mailctl.maillog import count, parse_line, queue, read, summarise
from mailctl.maillog.connections import measure_stays
from mailctl.maillog.events import Unparsed
from mailctl.maillog.formats import Format, Style, jsonl, nagios, prom, render
from mailctl.maillog.formats.hours import COUNTED
from mailctl.maillog.report import Report
from mailctl.maillog.source import blocks_of
from mailctl.maillog.trace import Trace
from mailctl.maillog.trace import text as trace_text
from mailctl.maillog.trace.lines import message_steps
from mailctl.maillog.trace.lives import follow_lives
from mailctl.maillog.trace.steps import step_of

STAMP = "2026-03-01T06:00:00.000001+00:00 mx1 "
SENT = "to=<b@x.example>, relay=mx.x.example[192.0.2.7]:25, delay=1.2, delays=0.1/0/0.1/1, "
TAKEN = ["postfix/smtpd[1]: 4F0A1B2C: client=a.example[192.0.2.1]"]
QUEUED = [*TAKEN, "postfix/qmgr[2]: 4F0A1B2C: from=<a@a.example>, size=700, nrcpt=1 (queue active)"]

# What the lines add, by the names of the totals; every other total stays 0.
CASES: dict[str, tuple[list[str], dict[str, int]]] = {
    "3.11 tls field": (
        [f"postfix/smtp[3]: 4F0A1B2C: {SENT}tls=TLSv1.3/verified, dsn=2.0.0, status=sent (250 Ok)"],
        {"delivered": 1},
    ),
    "unknown fields": (
        [f"postfix/smtp[3]: 4F0A1B2C: {SENT}new=1, dsn=2.0.0, other=x, status=sent (250 Ok)"],
        {"delivered": 1},
    ),
    "connection used again": (
        [f"postfix/smtp[3]: 4F0A1B2C: {SENT.replace(' delay=', ' conn_use=7, delay=')}dsn=2.0.0, status=sent (250 Ok)"],
        {"delivered": 1},
    ),
    "a reply that holds a status": (
        [
            f"postfix/smtp[3]: 4F0A1B2C: {SENT}dsn=5.0.0, status=bounced "
            "(host x said: 550 status=sent (250 queued as 4F0A1B2C)"
        ],
        {"bounced": 1},
    ),
    "an address that holds a delivery": (
        [
            'postfix/smtp[3]: 4F0A1B2C: to=<"x>, relay=y, delay=1, dsn=2.0.0, status=sent (250"@x.example>, '
            "relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (connect to x.example: refused)"
        ],
        {"deferred": 1, "deferred_messages": 1},
    ),
    "probes are no mail": (
        [
            f"postfix/smtp[3]: 4F0A1B2C: {SENT}dsn=2.0.0, status=deliverable (250 Ok)",
            f"postfix/smtp[3]: 4F0A1B2D: {SENT}dsn=5.0.0, status=undeliverable (host x said: 550 no)",
        ],
        {},
    ),
    "3.8 failed login with a name": (
        ["postfix/smtpd[1]: warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: UGFz, sasl_username=admin"],
        {"sasl_failures": 1},
    ),
    "3.10 lost connection under a queue id": (
        [*TAKEN, "postfix/smtpd[1]: 4F0A1B2C: lost connection after DATA (9 bytes) from a.example[192.0.2.1]"],
        {},
    ),
    "3.10 lost connection without": (["postfix/smtpd[1]: NOQUEUE: lost connection after RCPT from a[192.0.2.1]"], {}),
    "3.10 refusal of a login": (
        [
            "postfix/submission/smtpd[1]: NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 5.1.1 <b@x>: User unknown; "
            "from=<a@a> to=<b@x> proto=ESMTP helo=<a> sasl_method=PLAIN sasl_username=a@a"
        ],
        {"rejected": 1, "rejected_5xx": 1},
    ),
    "3.11 the notice named before its own lines": (
        [
            *QUEUED,
            "postfix/bounce[4]: 4F0A1B2C: sender non-delivery notification: 4F0A1B2D",
            "postfix/cleanup[5]: 4F0A1B2D: message-id=<20260301060000.4F0A1B2D@mx1.example>",
            "postfix/qmgr[2]: 4F0A1B2D: from=<>, size=900, nrcpt=1 (queue active)",
        ],
        {"received": 1, "bytes_received": 700, "internal": 1, "ndn_sent": 1},
    ),
    "a retry is active again": ([*QUEUED, QUEUED[-1]], {"received": 1, "bytes_received": 700}),
    "postscreen, with commas": (
        [
            "postfix/postscreen[1]: NOQUEUE: reject: RCPT from [192.0.2.1]:5555: 550 5.7.1 Service unavailable; client "
            "[192.0.2.1] blocked using zen.example; from=<a@a>, to=<b@x>, proto=ESMTP, helo=<x>"
        ],
        {"rejected": 1, "rejected_5xx": 1},
    ),
    "milter at the end of a message": (
        [
            *TAKEN,
            "postfix/cleanup[5]: 4F0A1B2C: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 Spam; from=<a@a> "
            "to=<b@x> proto=ESMTP helo=<a>",
        ],
        {"rejected": 1},
    ),
    "repeated": (["postfix/smtpd[1]: message repeated 3 times: [ connect from a[192.0.2.1]]"], {"connections": 3}),
    "a second instance": (
        [f"postfix-out/smtp[3]: 4F0A1B2C: {SENT}dsn=2.0.0, status=sent (250 Ok)"],
        {"delivered": 1},
    ),
    "postsuper by name": (
        [*QUEUED, "postfix/postsuper[9]: 4F0A1B2C: removed", "postfix/postsuper[9]: Deleted: 1 message"],
        {"received": 1, "bytes_received": 700, "removed": 1},
    ),
    "soft bounce": (
        [f"postfix/smtp[3]: 4F0A1B2C: {SENT}dsn=5.1.1, status=SOFTBOUNCE (host x said: 550 no)"],
        {"deferred": 1, "deferred_messages": 1},
    ),
    "an id that is used again": (
        [*QUEUED, "postfix/qmgr[2]: 4F0A1B2C: removed", *QUEUED],
        {"received": 2, "bytes_received": 1400, "removed": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_form_counts(name: str) -> None:
    lines, expected = CASES[name]
    report = summarise([STAMP + line for line in lines])
    assert {total: count for total, count in report.as_json()["totals"].items() if count} == expected
    assert report.lines.unparsed == 0


UNDERSTOOD = Path(__file__).with_name("understood.txt").read_text().splitlines()


@pytest.mark.parametrize("line", UNDERSTOOD)
def test_what_postfix_writes_in_normal_operation_is_understood(line: str) -> None:
    assert summarise([f"{STAMP}postfix/{line}"]).lines.unparsed == 0
    assert not isinstance(parse_line(f"{STAMP}postfix/{line}"), Unparsed)


def test_a_connection_that_tlsproxy_makes_for_postscreen_counts_as_incoming_tls() -> None:
    (line,) = (line for line in UNDERSTOOD if line.startswith("tlsproxy[1]: Anonymous TLS"))
    assert [row.name for row in summarise([f"{STAMP}postfix/{line}"]).tls.inbound] == ["TLSv1.3"]


@pytest.mark.parametrize(
    "line",
    [
        "postfix/smtpd[1]: some new sentence",
        "postfix/qmgr[1]: 4F0A1B2C: from=<a@x>, size=many, nrcpt=1 (queue act",
        "postfix/smtp[1]: 4F0A1B2C: to=<a@x>, relay=none, delay=1, sta",
        "postfix/newdaemon[1]: hello",
    ],
)
def test_what_is_not_understood_is_counted_and_shown(line: str) -> None:
    shown: list[bytes] = []
    assert summarise([STAMP + line], on_unparsed=shown.append).lines.unparsed == 1
    assert shown == [(STAMP + line).encode()]


def test_failed_logins_are_one_warning_whoever_they_tried_to_be() -> None:
    failed = "postfix/smtpd[1]: warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: UGFz, sasl_username="
    (row,) = summarise([f"{STAMP}{failed}{name}" for name in ("admin", "bob@a.example")]).warnings
    assert (row.messages, "admin" in row.name) == (2, False)


def test_lines_of_other_programs_are_understood() -> None:
    others = ["dovecot: imap-login: Login: user=<a>", "opendkim[9]: 4F0A1B2C: DKIM-Signature field added", "CRON[1]: x"]
    assert summarise([STAMP + line for line in others]).lines.unparsed == 0


REAL = [line for run in RUNS for line in recorded_lines(run)]
pieces = st.binary(max_size=40) | st.sampled_from(
    [b"status=sent (250", b"from=<", b": ", b"\0", b"]: ", b"\xff", b'"', b">, "]
)


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    line = draw(st.sampled_from(REAL)).rstrip(b"\n")
    start, end = sorted(draw(st.tuples(st.integers(0, len(line)), st.integers(0, len(line)))))
    return line[:start] + draw(pieces) + line[end:]


MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "Nov", "Dec")
years = st.sampled_from((0, 1, 1899, 1900, 1969, 2000, 2024, 2026, 2100, 8999, 9000, 9999)) | st.integers(0, 9999)
days = st.sampled_from((0, 1, 28, 29, 30, 31, 32))
clocks = st.sampled_from(("00:00:00", "23:59:60", "23:59:61", "24:00:00", "06:60:00", "06:00:00"))
offsets = st.sampled_from(("", "Z", "+00:00", ".999999999+23:59", "-99:99", "+0200"))
any_stamps = st.builds("{:04}-{:02}-{:02}T{}{}".format, years, st.integers(0, 13), days, clocks, offsets) | st.builds(
    "{} {:2} {}".format, st.sampled_from(MONTH_NAMES), days, clocks
)


@st.composite
def misdated_lines(draw: st.DrawFn) -> bytes:
    _, host, rest = draw(st.sampled_from(REAL)).rstrip(b"\n").partition(b" mx1 ")
    return draw(any_stamps).encode() + host + rest


any_lines = st.lists(damaged_lines() | misdated_lines() | st.binary(max_size=200), max_size=30)
MOMENTS = (None, datetime(1900, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, 6, tzinfo=UTC))


@settings(max_examples=300, deadline=None)
@given(any_lines, st.sampled_from(MOMENTS), st.sampled_from(MOMENTS))
def test_no_line_raises(lines: list[bytes], since: datetime | None, until: datetime | None) -> None:
    report = summarise(lines, since=since, until=until)
    assert report.lines.total == report.lines.parsed + report.lines.unparsed
    assert len(list(map(parse_line, lines))) == len(lines)
    list(read(lines))
    measure_stays(blocks_of(lines), lambda stamp: True)
    show(report)
    lives = tuple(follow_lives(message_steps(blocks_of(lines))))
    list(jsonl.render(lives))
    trace_text.render(Trace("", lives), width=100)


def show(report: Report) -> None:
    """In every format."""
    for format_ in set(Format) - {Format.JSONL, Format.PROM, Format.NAGIOS}:
        render(report, format_, Style())
    prom.render(prom.grown({}, report), report)
    nagios.render(report, {}, {})


@settings(max_examples=300, deadline=None)
@given(any_lines)
def test_hours_are_of_the_calendar_and_hold_what_the_totals_hold(lines: list[bytes]) -> None:
    report = summarise(lines)
    names = [hour.hour for hour in report.by_hour]
    assert names == sorted(set(names))
    assert [datetime.fromisoformat(name).isoformat(timespec="hours") for name in names] == names
    for field in COUNTED:
        assert sum(getattr(hour, field) for hour in report.by_hour) == getattr(report.totals, field)


@pytest.mark.parametrize(
    "line",
    [
        b"postfix/smtpd[1]: NOQUEUE: reject: RCPT from " + b"a: " * 300_000,
        b"postfix/cleanup[1]: 4F0A1B2C: reject: header Subject:" + b" from x[1]; from=<" * 60_000,
        b"postfix/smtp[1]: 4F0A1B2C: to=<" + b'"\\' * 500_000,
        b"postfix/smtp[1]: 4F0A1B2C: to=<a>, relay=b, delay=1, " + b"x=y, " * 200_000,
        b"postfix/smtp[1]: 4F0A1B2C: to=<a>, relay=b, delay=1, " + b"dsn=1.1.1, " * 100_000,
        b"postfix/smtp[1]: 4F0A1B2C: to=<a>, relay=b, delay=1" + b", delays=1, tls=x" * 100_000,
        b"postfix/smtpd[1]: warning: " + b"a[" * 500_000,
        b"postfix/smtpd[1]: connect from " + b"a[" * 500_000,
        b"postfix/smtpd[1]: NOQUEUE: reject: RCPT from a[1]: 550 5.7.1 " + b"<" * 500_000,
        b"postfix/smtp[1]: Trusted TLS connection established to " + b"a: " * 300_000,
        b"dovecot: lmtp(a)" + b": msgid=a" * 100_000,
        b"postfix/qmgr[1]: warning: " + b"1" * 1_000_000,
        b"postfix/local[1]: 4F0A1B2C: to=<" + b">, relay=" * 100_000,
        b"x" * 1_000_000,
    ],
)
@pytest.mark.timeout(10)
def test_a_huge_line_takes_linear_time(line: bytes) -> None:
    assert summarise([STAMP.encode() + line]).lines.total == 1
    parse_line(STAMP.encode() + line)
    step_of(STAMP.encode() + line)


def test_hosts_and_relays_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "MAX_HOSTS", 20)
    monkeypatch.setattr(queue, "MAX_RELAYS", 20)
    counting = count.Counting()
    tls = "Trusted TLS connection established to mx{0}[192.0.2.1]:25: TLSv1.3 with cipher X (256/256 bits)"
    for number in range(300):
        hosts = f"2026-03-01T06:00:00+00:00 mx{number} postfix/smtpd[1]: connect from a[192.0.2.1]\n"
        counting.feed(f"{hosts}{STAMP}postfix/smtp[1]: {tls.format(number)}\n".encode())
    assert len(counting.queues) <= 21
    assert max(len(each.levels) for each in counting.queues.values()) <= 20
    assert counting.tally.totals["connections"] == 300
