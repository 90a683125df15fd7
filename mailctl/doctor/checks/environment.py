"""The programs, users and Python modules the spec needs, and whether the spec itself can be read."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from mailctl.apply.preflight import PACKAGES
from mailctl.components import registry
from mailctl.doctor.model import Finding, Patient, fail, ok, warn
from mailctl.errors import missing_modules
from mailctl.spec.model import Spec

# What mailctl itself imports only when a verb needs it.
MODULES = {"dns": "dnspython", "dkim": "dkimpy", "publicsuffixlist": "publicsuffixlist"}


def look(patient: Patient) -> Iterator[Finding]:
    found = list(_problems(patient))
    yield from found
    if not found and patient.spec:
        domains = len(patient.spec.domains)
        mailboxes = sum(len(record.mailboxes) for record in patient.spec.domains.values())
        yield ok(
            "spec",
            f"{patient.spec.server.hostname}, domains: {domains}, mailboxes: {mailboxes}; all it needs is installed",
        )


def _problems(patient: Patient) -> Iterator[Finding]:
    yield from patient.complaints
    if patient.spec and patient.host.is_live():
        yield from _missing(patient, patient.spec)
    for module, package in MODULES.items():
        if importlib.util.find_spec(module) is None:
            lack = missing_modules(package)
            yield warn(package, lack.message, lack.hint)


def _missing(patient: Patient, spec: Spec) -> Iterator[Finding]:
    components = list(registry.enabled_components(spec))
    for program in dict.fromkeys(name for each in components for name in each.required_programs(spec)):
        if patient.host.find_program(program) is None:
            package = PACKAGES.get(program.rpartition("/")[2], program)
            yield fail(program, f"the program {program} is not installed", f"apt-get install {package}")
    for user in dict.fromkeys(name for each in components for name in each.required_users(spec, patient.target)):
        if not patient.host.has_user(user):
            yield fail(user, f"there is no user {user}", "mailctl apply says how to make it")
