"""Signing keys: whether OpenDKIM can use them, how old they are, and which step of a rotation is overdue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mailctl.components import opendkim
from mailctl.components.opendkim.check import refusals
from mailctl.components.service import running_pid
from mailctl.dkim.key_table import key_table, render_key_table
from mailctl.dkim.keys import key_of, signed_domains
from mailctl.dkim.rotation import Step, StepKind, next_steps
from mailctl.dkim.states import KeyState, list_keys, read_states, successor
from mailctl.doctor.model import Finding, Patient, fail, ok, skip, warn
from mailctl.errors import MailctlError
from mailctl.probe.signer import selector_in_use
from mailctl.spec.derive import signs
from mailctl.spec.model import Dkim, Spec

MOST_ASKED = 5  # domains; each question is a line of the mail log
OLD = timedelta(days=400)
# What waits this long was forgotten: the DNS needs hours, a timer runs every day.
PATIENCE = timedelta(days=2)


def look(patient: Patient, spec: Spec) -> Iterator[Finding]:
    if not signs(spec):
        yield skip("dkim", "the spec signs no domain", "mailctl explain domains.dkim")
        return
    found = list(_table_problems(patient))
    ages: list[int] = []
    for domain, dkim in signed_domains(spec):
        states = read_states(patient.host, patient.target, domain)
        current = successor(states, dkim.selector)
        found += _key_problems(patient, domain, current)
        found += (
            finding
            for step in next_steps(spec, domain, states, patient.now)
            for finding in _overdue(patient, domain, step)
        )
        if len(ages) < MOST_ASKED:
            found += _signer_problems(patient, domain, current)
        state = next((each for each in states if each.key.selector == current), None)
        if state:
            found += _age_problems(patient, domain, dkim, state)
            ages.append((patient.now - state.since).days)
    yield from found
    if not found:
        yield ok("dkim", f"signed domains: {len(ages)}; the oldest key signs for {max(ages, default=0)} days")


def _table_problems(patient: Patient) -> Iterator[Finding]:
    path = key_table(patient.target)
    if patient.host.read(path) != render_key_table(patient.target, list_keys(patient.host, patient.target)):
        yield fail("KeyTable", f"{path} is not what the keys say", "mailctl dkim rotate --auto")


def _key_problems(patient: Patient, domain: str, selector: str) -> Iterator[Finding]:
    for message, hint in refusals(patient.host, patient.target, key_of(patient.target, domain, selector)):
        yield fail(domain, f"{message}: all mail of {domain} waits", hint)


def _signer_problems(patient: Patient, domain: str, selector: str) -> Iterator[Finding]:
    """Whether the running signer uses the key; where it does not run, check `services` says so."""
    host = patient.host
    if not host.is_live() or running_pid(host, opendkim.daemon(patient.target)) is None:
        return
    try:
        used = selector_in_use(host, patient.target, domain)
    except MailctlError as error:
        yield fail(f"{domain} signer", error.message, "journalctl -u opendkim; mailctl status")
        return
    if used != selector:
        text = f"OpenDKIM signs {domain} with {used or 'nothing'}, not with {selector}"
        yield fail(f"{domain} signer", text, "systemctl reload opendkim; if that does not help: mailctl apply")


def _overdue(patient: Patient, domain: str, step: Step) -> Iterator[Finding]:
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
