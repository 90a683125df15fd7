"""Whether the daemons of the generation that serves run, and no apply was left unfinished."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.apply.status import Status, how_to_start, read_status
from mailctl.components.registry import missing, unused_daemons
from mailctl.components.service import needless_services
from mailctl.doctor.model import NOT_APPLIED, Finding, Patient, fail, ok, warn
from mailctl.plan.stored import read_tree


def look(patient: Patient) -> Iterator[Finding]:
    found = read_status(patient.host, patient.target)
    if found.number is None:
        yield fail("generation", NOT_APPLIED, "mailctl apply")
        return
    if found.unfinished:
        yield _unfinished(found)
    tree = read_tree(patient.host, patient.target, found.number)
    for lack in missing(patient.host, tree):
        yield fail(f"{lack.origin} packages", f"{lack.origin}: {lack.message}", lack.hint)
    for service in found.services:
        if service.pid is None:
            yield fail(
                service.name, f"{service.name} does not run", how_to_start(patient.host, patient.target, service.name)
            )
    if patient.spec:
        for needless in needless_services(patient.host, unused_daemons(patient.spec, patient.target)):
            yield warn(str(needless.origin), f"{needless.origin}: {needless.message}", needless.hint)
    if all(service.pid for service in found.services):
        names = ", ".join(f"{service.name} {service.version}" for service in found.services)
        yield ok("generation", f"generation {found.number}: {names} run")


def _unfinished(found: Status) -> Finding:
    if found.deadline is not None:
        return warn("apply", f"{found.unfinished} waits for its confirmation, or is undone", "mailctl confirm")
    return fail("apply", f"{found.unfinished} was interrupted", "mailctl recover")
