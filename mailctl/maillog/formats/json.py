"""The report as one JSON object."""

from __future__ import annotations

from mailctl.maillog.formats import Style
from mailctl.maillog.formats.limit import limited
from mailctl.maillog.formats.safe import to_json
from mailctl.maillog.report import Report


def render(report: Report, style: Style) -> str:
    return to_json(limited(report, style.limits).as_json(), indent=2)
