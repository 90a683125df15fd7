"""Postfix logs as values: read messages, follow a log, sum it up. Needs nothing of the rest of mailctl."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mailctl.maillog.compressed import LogError
from mailctl.maillog.follow import follow, follow_report
from mailctl.maillog.report import Report
from mailctl.maillog.summarise import summarise, summarise_new, summarise_new_entries

if TYPE_CHECKING:
    from mailctl.maillog.events import Event
    from mailctl.maillog.messages import Message, read
    from mailctl.maillog.parse import parse_line

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

# A report needs neither, and to compile their patterns takes as long as counting 30,000 lines.
_LATER = {"Event": "events", "parse_line": "parse", "Message": "messages", "read": "messages"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
