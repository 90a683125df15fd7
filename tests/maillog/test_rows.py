"""Short cuts for the usual lines count what the handlers count from the text, whatever is done to a line."""

from __future__ import annotations

from collections.abc import Iterable
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_logs import RUNS, recorded_lines

from bench.maillog_sample import lines as sample_lines
from mailctl.maillog import count, summarise
from mailctl.maillog.report import Report

SAMPLE = [line.encode() for line in sample_lines(3000)]
REAL = [line for run in RUNS for line in recorded_lines(run)]

BEFORE, AFTER = b"2026-03-01T06:00:00.000001+00:00 mx1 postfix/", b"Mar  1 06:00:00 mx1 postfix-out/"
ODD = [
    b"smtpd[1]: 4F0A1B2C: connect from a[192.0.2.1]",
    b"smtpd[1]: connect to a[192.0.2.1]: refused",
    b"smtpd[1]: 4F0A1B2C: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=x, orig_queue_id=4F0A1B2D",
    b"smtpd[1]: client=a[192.0.2.1]",
    b"smtpd[1]: Anonymous TLS connection established from a[192.0.2.1]: nonsense",
    b"smtpd[1]: Anonymous TLS connection established from a[192.0.2.1]: TLSv1.3 with cipher X (256/256 bits)",
    b"smtpd[1]: Anonymous TLS connection established from a[192.0.2.1]: TLSv1.3 with cipher X: more: of it",
    b"smtpd[1]: 4F0A1B2C: Anonymous TLS connection established from a[192.0.2.1]: TLSv1.3 with cipher X",
    b"smtpd[1]: 4F0A1B2C: client=mx1[192.0.2.1]",
    b"smtpd[1]: 4F0A1B2C: client=a[192.0.2.1] and more",
    b"smtpd[1]: 4F0A1B2C: disconnect from a[192.0.2.1]",
    b"smtpd[1]: disconnect from a[192.0.2.1]]: connect from b",
    b"smtpd[1]: connect from a[192.0.2.1]]: connect from b",
    b"a/b/smtpd[1]: connect from a[192.0.2.1]",
    b"smtpd[]: connect from a[192.0.2.1]",
    b"smtpd[1]: removed",
    b"qmgr[1]: removed",
    b"qmgr[1]: 4F0A1B2C: removed by hand",
    b"qmgr[1]: 4F0A1B2C: from=<a@a>, size=7, nrcpt=x (queue active)",
    b"qmgr[1]: 4F0A1B2C: from=<a@a>, size=7, nrcpt=1234 (queue active)",
    b"qmgr[1]: 4F0A1B2C: from=<a@a>, relay=7, nrcpt=1 (queue active)",
    b"qmgr[1]: 4F0A1B2C: from=<a@a>, size=" + b"9" * 6000 + b", nrcpt=1 (queue active)",
    b"qmgr[1]: 4F0A1B2C: from=<a@a>, status=expired, returned to sender",
    b"cleanup[1]: 4F0A1B2C: message-id=<x@y> more",
    b"cleanup[1]: message-id=<x@y>",
    b"cleanup[1]: 4F0A1B2C: message-id=<20260301060000.4F0A1B2C@mx1>",
    b"cleanup[1]: 4F0A1B2C: message-id=<4F0A1B2C@mx1>",
    b"cleanup[1]: 4F0A1B2C: message-id=<4F0A1B2D@mx1>",
    b"smtp[1]: to=<b@b>, relay=r, delay=1, dsn=2.0.0, status=sent (250 Ok)",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, size=5, delay=1, dsn=2.0.0, status=sent (250 Ok)",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (forwarded as 4F0A1B2D)",
    b"local[1]: 4F0A1B2C: to=<b@b>, orig_to=<c>, relay=local, delay=1, delays=1/0/0/0, dsn=2.0.0, "
    b"status=sent (forwarded as 4F0A1B2D)",
    b"lmtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 queued as 4F0A1B2C)",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, dsn=4.0.0, status=unheard-of (x)",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred (status=sent (250 Ok)",
    b"smtp[1]: Trusted TLS connection established to r[192.0.2.7]:25: TLSv1.3 with cipher X (256/256 bits)",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, tls=none, dsn=2.0.0, status=sent (250 Ok)",
    b"smtp[1]: 4F0A1B2C: to=<b@b>, relay=r, delay=1, delays=1/0/0/0, tls=dane, dsn=2.0.0, status=sent (250 Ok)",
    b"smtp[1]: Trusted TLS connection established to r[192.0.2.7]:25: nonsense",
    b"smtp[1]: 4F0A1B2C: Trusted TLS connection established to r[192.0.2.7]:25: TLSv1.3 with cipher X (256/256 bits)",
]
odd_lines = st.builds(lambda start, line: start + line, st.sampled_from((BEFORE, AFTER)), st.sampled_from(ODD))


def from_text(lines: Iterable[bytes]) -> Report:
    """What the handlers count, which are given every line."""
    with mock.patch.object(count, "rows_of", lambda block: [(b"",) * 18 + (line,) for line in block.split(b"\n")[:-1]]):
        return summarise(lines)


@pytest.mark.parametrize("lines", [SAMPLE, recorded_lines(RUNS[0]), recorded_lines(RUNS[1])], ids=["sample", *RUNS])
def test_rows_and_text_tell_the_same(lines: list[bytes]) -> None:
    assert summarise(lines) == from_text(lines)


@pytest.mark.parametrize("line", ODD)
def test_a_line_that_looks_usual_counts_as_its_text_says(line: bytes) -> None:
    taken = [BEFORE + b"smtpd[1]: 4F0A1B2C: client=a[192.0.2.1]"]
    for lines in ([BEFORE + line], [*taken, BEFORE + line], [*taken, AFTER + line]):
        assert summarise(lines) == from_text(lines)


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    line = draw(st.sampled_from(REAL)).rstrip(b"\n")
    start, end = sorted(draw(st.tuples(st.integers(0, len(line)), st.integers(0, len(line)))))
    return line[:start] + draw(st.sampled_from((b"", b">, ", b" ", b"=", b"from=<", b"\0", b"\xff"))) + line[end:]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(REAL) | damaged_lines() | odd_lines, max_size=30))
def test_damaged_lines_count_as_their_text_says(lines: list[bytes]) -> None:
    assert summarise(lines) == from_text(lines)
