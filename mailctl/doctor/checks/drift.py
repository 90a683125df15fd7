"""Whether the files that serve are as they were applied, and as the spec wants them now."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.doctor.model import NOT_APPLIED, Finding, Patient, fail, ok, skip, warn
from mailctl.plan.make import make_plan, make_rollback_plan
from mailctl.plan.stored import read_current
from mailctl.plan.text import render_summary

MOST_NAMES = 4


def look(patient: Patient) -> Iterator[Finding]:
    host, target = patient.host, patient.target
    number = read_current(host, target)
    if not number:
        yield skip("generation", NOT_APPLIED)
        return
    changed = [change.name for change in make_rollback_plan(number, target, host).changes]
    if changed:
        more = f" and {len(changed) - MOST_NAMES} more" if len(changed) > MOST_NAMES else ""
        text = f"changed by hand since generation {number}: {', '.join(changed[:MOST_NAMES])}{more}"
        yield fail("files", text, "mailctl plan shows it; mailctl apply --adopt keeps it, --overwrite undoes it")
        return
    if patient.spec is None:
        yield ok("files", f"as generation {number} left them")
        return
    plan = make_plan(patient.spec, target, host)
    if plan.is_empty:
        yield ok("files", f"as generation {number} left them, and as the spec wants them")
    else:
        yield warn("spec", f"the spec is not applied: {render_summary(plan).removeprefix('Plan: ')}", "mailctl apply")
