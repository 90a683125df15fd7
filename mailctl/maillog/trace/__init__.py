"""The life of one message, from the lines of a log: found by queue id, message id or address."""

from __future__ import annotations

from mailctl.maillog.trace.find import Trace, trace
from mailctl.maillog.trace.lines import Blocks
from mailctl.maillog.trace.lives import Life
from mailctl.maillog.trace.steps import Kind, Step

__all__ = ["Blocks", "Kind", "Life", "Step", "Trace", "trace"]
