"""The mail log of the last day: totals on a line, and what in it asks for a person."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from mailctl.doctor.model import Finding, Patient, Verdict, ok, skip, warn
from mailctl.errors import printable
from mailctl.maillog import LogError, summarise
from mailctl.maillog.formats.problems import Urgency, find_problems
from mailctl.maillog.report import Report
from mailctl.target import MAIL_LOG, MAIL_LOGS

MOST_BYTES = 16 * 2**20  # read of the log, from its end: about 100,000 lines, one second
DAY = timedelta(days=1)
VERDICTS = {Urgency.CRITICAL: Verdict.FAIL, Urgency.WARNING: Verdict.WARN}


def look(patient: Patient) -> Iterator[Finding]:
    log = next((log for log in MAIL_LOGS if patient.host.stat(log) is not None), None)
    if log is None:
        yield skip("log", f"there is no {MAIL_LOG}", "mailctl log-report --journal -d today")
        return
    try:
        report = summarise(_tail(patient.host.path(log)), since=patient.now - DAY)
    except LogError as error:
        yield warn("log", printable(str(error)), "mailctl log-report")
        return
    if not report.lines.total:
        yield warn("log", f"{log} has no line of the last day", "systemctl status rsyslog; is the clock right?")
        return
    found = list(_problems(report))
    yield from found
    if not found:
        yield ok("log", _totals(report))


def _tail(path: Path) -> io.BytesIO:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - MOST_BYTES, 0))
        if size > MOST_BYTES:
            file.readline()  # half a line
        return io.BytesIO(file.read(MOST_BYTES))


def _problems(report: Report) -> Iterator[Finding]:
    for each in find_problems(report):
        if each.urgency in VERDICTS:
            text = printable(f"{each.count} {each.what} in a day: {each.why}")
            yield Finding(VERDICTS[each.urgency], f"{each.what} {each.why}", text, printable(each.next_step))


def _totals(report: Report) -> str:
    totals = report.totals
    return (
        f"in a day {totals.received} received, {totals.delivered} delivered, {totals.deferred} deferred, "
        f"{totals.bounced} bounced, {totals.rejected} rejected"
    )
