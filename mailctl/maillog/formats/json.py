"""The report as one JSON object; receiving domains have their `causes` of deferrals and refusals as well."""

from __future__ import annotations

from mailctl.maillog.formats import Style
from mailctl.maillog.formats.limit import limited
from mailctl.maillog.formats.problems import causes_of
from mailctl.maillog.formats.safe import to_json
from mailctl.maillog.report import Report


def render(report: Report, style: Style) -> str:
    shown = limited(report, style.limits)
    data = shown.as_json()
    for domain, whole in zip(data["deliverability"]["domains"], report.deliverability.domains, strict=False):
        domain["causes"] = [{"name": cause.name, "messages": count} for cause, count in causes_of(whole)]
    return to_json(data, indent=2)
