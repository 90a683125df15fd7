"""The DNS of every domain: a summary of `mailctl dns check`."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.doctor.model import Finding, Patient, ok
from mailctl.spec.model import Spec


def look(patient: Patient, spec: Spec) -> Iterator[Finding]:
    yield ok("dns", "todo")
