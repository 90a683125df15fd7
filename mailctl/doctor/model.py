"""What a check is, what it finds, and whom it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailctl.host import LocalHost
from mailctl.spec.model import Server, Spec
from mailctl.target import Target

# Said by every check that looks at what an apply makes; `services` says what to do.
NOT_APPLIED = "nothing was applied yet"


class Verdict(StrEnum):
    """FAIL: mail is lost, refused or late, or soon will be. WARN: somebody should look. SKIP: it was not looked at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found; `subject` names what it is about and stays the same while numbers in `text` change.

    `remedy` is the command or the record that mends it.
    """

    verdict: Verdict
    subject: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """The machine under examination. `spec` is None where it cannot be loaded; `servers` are those of a fleet.

    `complaints` say what was amiss before any check.
    """

    host: LocalHost
    target: Target
    spec: Spec | None
    complaints: tuple[Finding, ...]
    now: datetime
    servers: tuple[Server, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One look at a patient. It yields at least one finding; what it raises is a finding as well."""

    name: str
    run: Callable[[Patient], Iterator[Finding]]
    needs_root: bool = False
    needs_live: bool = True
    needs_applied: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a check found, and how long it took in seconds."""

    check: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        order = (Verdict.FAIL, Verdict.WARN, Verdict.SKIP, Verdict.OK)
        found = {each.verdict for each in self.findings}
        return next(verdict for verdict in order if verdict in found)


def with_spec(look: Callable[[Patient, Spec], Iterator[Finding]]) -> Callable[[Patient], Iterator[Finding]]:
    """`look` for checks that compare with the spec: without one they are skipped."""

    def run(patient: Patient) -> Iterator[Finding]:
        if patient.spec is None:
            yield skip("spec", "there is no spec to compare with", "mailctl doctor -f FILE")
        else:
            yield from look(patient, patient.spec)

    return run


def ok(subject: str, text: str) -> Finding:
    return Finding(Verdict.OK, subject, text)


def warn(subject: str, text: str, remedy: str) -> Finding:
    return Finding(Verdict.WARN, subject, text, remedy)


def fail(subject: str, text: str, remedy: str) -> Finding:
    return Finding(Verdict.FAIL, subject, text, remedy)


def skip(subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(Verdict.SKIP, subject, text, remedy)
