"""The report as one JSON object; ASCII only, so that it is harmless on a terminal too."""

from __future__ import annotations

import json

from mailctl.maillog.formats import Style
from mailctl.maillog.formats.limit import limited
from mailctl.maillog.formats.safe import valid_unicode
from mailctl.maillog.report import Report


def render(report: Report, style: Style) -> str:
    return json.dumps(valid_unicode(limited(report, style.limits).as_json()), indent=2)
