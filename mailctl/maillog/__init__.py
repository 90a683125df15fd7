"""Postfix logs as values: read messages, follow a log, sum it up. Needs nothing of the rest of mailctl."""

from mailctl.maillog.compressed import LogError
from mailctl.maillog.report import Report
from mailctl.maillog.summarise import summarise, summarise_new

__all__ = ["LogError", "Report", "summarise", "summarise_new"]
