"""The mail log of the last day: totals on a line, and what in it asks for a person."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from mailctl.components.service import has_systemd
from mailctl.doctor.model import Finding, Patient, Verdict, ok, skip, warn
from mailctl.errors import printable
from mailctl.host import Host
from mailctl.maillog import LogError, summarise
from mailctl.maillog.formats.problems import Urgency, find_problems, of_probes
from mailctl.maillog.formats.safe import shortened
from mailctl.maillog.report import Report
from mailctl.target import MAIL_LOG, MAIL_LOGS

# Read of the log, from its end: one second's work.
MOST_BYTES = 16 * 2**20
MOST_LINES = 100_000
# Of what a finding comes from: the addresses to block, the words of the log.
MOST_NAMES = 3
LONGEST_NAME = 80
DAY = timedelta(days=1)
VERDICTS = {Urgency.CRITICAL: Verdict.FAIL, Urgency.WARNING: Verdict.WARN}


def look(patient: Patient) -> Iterator[Finding]:
    log = next((log for log in MAIL_LOGS if patient.host.stat(log) is not None), None)
    if log is None and not has_systemd(patient.host):
        yield skip("log", f"there is no {MAIL_LOG}, and no journal", "mailctl log-report FILE")
        return
    try:
        newest = _tail(patient.host.path(log)) if log else _journal(patient.host)
        report = summarise(newest, since=patient.now - DAY)
    except LogError as error:
        yield warn("log", printable(str(error)), "mailctl log-report")
        return
    if not report.lines.total:
        what = f"{log or 'the journal'} has no line of the last day"
        yield warn("log", what, f"systemctl status {'rsyslog' if log else 'systemd-journald'}; is the clock right?")
        return
    found = list(_problems(report))
    yield from found
    if not found:
        yield ok("log", _totals(report))
    if left_out := of_probes(report):
        yield ok("probes", left_out)


def _tail(path: Path) -> io.BytesIO:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - MOST_BYTES, 0))
        if size > MOST_BYTES:
            file.readline()  # half a line
        return io.BytesIO(file.read(MOST_BYTES))


def _journal(host: Host) -> io.BytesIO:
    argv = ["journalctl", "--output=json", "--no-pager", "--facility=mail", "--since=-1d", f"--lines={MOST_LINES}"]
    return io.BytesIO(host.run(argv).stdout)


def _problems(report: Report) -> Iterator[Finding]:
    for each in find_problems(report):
        if each.urgency in VERDICTS:
            named = "; ".join(f"{row.messages} {shortened(row.name, LONGEST_NAME)}" for row in each.rows[:MOST_NAMES])
            text = printable(f"{each.count} {each.what} in a day: {each.why} ({named})")
            yield Finding(VERDICTS[each.urgency], f"{each.what} {each.why}", text, printable(each.next_step))


def _totals(report: Report) -> str:
    totals = report.totals
    return (
        f"in a day {totals.received} received, {totals.delivered} delivered, {totals.deferred} deferred, "
        f"{totals.bounced} bounced, {totals.rejected} rejected"
    )
