"""Signing keys: whether OpenDKIM can use them, how old they are, and which step of a rotation is overdue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mailctl.apply.rotate import steps_ahead
from mailctl.components.opendkim.check import refusals
from mailctl.dkim.key_table import key_table, render_key_table
from mailctl.dkim.keys import key_of, signed_domains
from mailctl.dkim.rotation import Step, StepKind
from mailctl.dkim.states import KeyState, list_keys, read_states
from mailctl.doctor.model import Finding, Patient, fail, ok, skip, warn
from mailctl.spec.derive import signs
from mailctl.spec.model import Dkim, Spec

OLD = timedelta(days=400)
# What waits this long was forgotten: the DNS needs hours, a timer runs every day.
PATIENCE = timedelta(days=2)


def look(patient: Patient, spec: Spec) -> Iterator[Finding]:
    if not signs(spec):
        yield skip("dkim", "the spec signs no domain", "mailctl explain domains.dkim")
        return
    found = list(_table_problems(patient))
    ages = []
    for domain, dkim in signed_domains(spec):
        states = read_states(patient.host, patient.target, domain)
        current, steps = steps_ahead(states, dkim, patient.now)
        found += _key_problems(patient, domain, current)
        found += (finding for step in steps for finding in _overdue(patient, domain, states, step))
        state = next((each for each in states if each.key.selector == current), None)
        if state:
            found += _age_problems(patient, domain, dkim, state)
            ages.append((patient.now - state.since).days)
    yield from found
    if not found:
        yield ok("dkim", f"{len(ages)} domains are signed; the oldest key signs for {max(ages, default=0)} days")


def _table_problems(patient: Patient) -> Iterator[Finding]:
    path = key_table(patient.target)
    if patient.host.read(path) != render_key_table(patient.target, list_keys(patient.host, patient.target)):
        yield fail("KeyTable", f"{path} is not what the keys say", "mailctl dkim rotate --auto, or mailctl apply")


def _key_problems(patient: Patient, domain: str, selector: str) -> Iterator[Finding]:
    for message, hint in refusals(patient.host, patient.target, key_of(patient.target, domain, selector)):
        yield fail(domain, f"{message}: all mail of {domain} waits", hint)


def _overdue(patient: Patient, domain: str, states: tuple[KeyState, ...], step: Step) -> Iterator[Finding]:
    if step.due is None or patient.now < step.due + PATIENCE:
        return
    days = (patient.now - step.due).days
    subject = f"{domain} {step.selector}"
    rotate = f"mailctl dkim rotate {domain}"
    match step.kind:
        case StepKind.SIGN:
            yield warn(subject, f"the new key {step.selector} of {domain} waits for {days} days", f"{rotate} says why")
        case StepKind.DELETE:
            text = f"the retired key {step.selector} of {domain} waits for {days} days to be deleted"
            yield warn(subject, text, f"{rotate} says why")
        case StepKind.RETIRE:
            yield warn(subject, f"the old key {step.selector} of {domain} can be retired for {days} days", rotate)
        case StepKind.GENERATE:
            text = f"a new key of {domain} is due for {days} days"
            yield warn(domain, text, "mailctl dkim rotate --auto, from a timer")


def _age_problems(patient: Patient, domain: str, dkim: Dkim, state: KeyState) -> Iterator[Finding]:
    age = patient.now - state.since
    if age > OLD and not dkim.rotate:
        text = f"the key {state.key.selector} of {domain} signs for {age.days} days"
        yield warn(domain, text, f"mailctl dkim rotate {domain}")
