"""Makes the checks, all at once and within a time; one that fails or hangs takes no other with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mailctl.components.detect import read_target
from mailctl.doctor.model import NOT_APPLIED, Check, Diagnosis, Finding, Patient, fail, skip
from mailctl.doctor.registry import CHECKS
from mailctl.errors import MailctlError, UsageError
from mailctl.host import LocalHost
from mailctl.plan.stored import read_current
from mailctl.spec.model import Server, Spec
from mailctl.target import DEBIAN_12

LONGEST = 20.0  # seconds for all checks
RUN_ME_AS_ROOT = "run it with sudo"


def select_checks(names: Sequence[str]) -> tuple[Check, ...]:
    """The checks of these names; all where none is named.

    Raises:
        UsageError: there is no such check.
    """
    known = {check.name: check for check in CHECKS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"there is no check {unknown[0]!r}", hint=f"checks: {', '.join(known)}")
    return tuple(check for check in CHECKS if not names or check.name in names)


def examine(
    host: LocalHost,
    load_spec: Callable[[], tuple[Spec, tuple[Server, ...]]],
    checks: Sequence[Check] = CHECKS,
    *,
    longest: float = LONGEST,
) -> tuple[Diagnosis, ...]:
    """What each check finds, in their order; returns after `longest` seconds at the latest, and a little.

    Args:
        load_spec: gives the spec, and the servers of a fleet.
    """
    patient = _meet(host, load_spec)
    found: dict[str, Diagnosis] = {}
    threads = [threading.Thread(target=_make, args=(check, patient, found), daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + longest
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return tuple(found.get(check.name) or _late(check, longest) for check in checks)


def _meet(host: LocalHost, load_spec: Callable[[], tuple[Spec, tuple[Server, ...]]]) -> Patient:
    """The patient, and what is wrong with it at first sight."""
    complaints: list[Finding] = []
    target, spec = DEBIAN_12, None
    servers: tuple[Server, ...] = ()
    try:
        target = read_target(host).target
    except MailctlError as error:
        complaints.append(fail("versions", error.message, error.hint or "install a version mailctl knows"))
    try:
        spec, servers = load_spec()
    except MailctlError as error:
        number = f" ({len(error.problems)} problems)" if error.problems else ""
        remedy = "mailctl validate" if error.problems else error.hint
        complaints.append(fail("spec", f"{error.message}{number}", remedy or "mailctl validate"))
    except PermissionError as error:
        complaints.append(skip("spec", f"{error.filename} cannot be read", RUN_ME_AS_ROOT))
    return Patient(host, target, spec, tuple(complaints), datetime.now(UTC), servers)


def _make(check: Check, patient: Patient, found: dict[str, Diagnosis]) -> None:
    started = time.monotonic()
    findings = tuple(_look(check, patient))
    found[check.name] = Diagnosis(check.name, findings, round(time.monotonic() - started, 3))


def _look(check: Check, patient: Patient) -> list[Finding]:
    if check.needs_live and not patient.host.is_live():
        return [skip(check.name, "a folder runs no server", "leave out --root")]
    if check.needs_root and patient.host.is_live() and not patient.host.is_root():
        return [skip(check.name, "only root can look", RUN_ME_AS_ROOT)]
    found: list[Finding] = []
    try:
        if check.needs_applied and read_current(patient.host, patient.target) is None:
            return [skip(check.name, NOT_APPLIED)]
        found.extend(check.run(patient))
    except PermissionError as error:
        found.append(skip(check.name, f"{error.filename} cannot be read", RUN_ME_AS_ROOT))
    except MailctlError as error:
        found.append(fail(check.name, error.message, error.hint or "see the message"))
    except OSError as error:
        found.append(fail(check.name, f"{error.filename or 'the system'}: {error.strerror}", "see the message"))
    except Exception as error:  # the other checks are worth more than a traceback
        text = f"unexpected {type(error).__name__}: {error}"
        found.append(fail(check.name, text, "this is a fault of mailctl: report it"))
    return found


def _late(check: Check, longest: float) -> Diagnosis:
    finding = fail(check.name, f"no answer within {longest:g} s", f"mailctl doctor --only {check.name} --timeout 120")
    return Diagnosis(check.name, (finding,), longest)
