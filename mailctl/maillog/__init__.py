"""Postfix logs as values: read messages, follow a log, sum it up. Needs nothing of the rest of mailctl."""

from mailctl.maillog.compressed import LogError
from mailctl.maillog.events import Event, parse_line
from mailctl.maillog.follow import follow, follow_report
from mailctl.maillog.messages import Message, read
from mailctl.maillog.report import Report
from mailctl.maillog.summarise import summarise, summarise_new, summarise_new_entries

__all__ = [
    "Event",
    "LogError",
    "Message",
    "Report",
    "follow",
    "follow_report",
    "parse_line",
    "read",
    "summarise",
    "summarise_new",
    "summarise_new_entries",
]
