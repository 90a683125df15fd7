"""What strangers see of the live server right after the switch; what it does wrong is put back.

A few dialogues from outside addresses: the canary made all of them with the same files. What counts is a server that
shows itself wrong. One that says nothing may have a firewall, or a resolver that is down: that is worth a note.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mailctl.apply.findings import failed_checks
from mailctl.errors import MailctlError, Origin, Problem, Severity
from mailctl.host import LocalHost
from mailctl.probe import Verdict, probe_machine, select_checks
from mailctl.spec.model import Spec
from mailctl.target import Target

PLACE = "live server"
CHECKS = (
    "relay.stranger",
    "relay.null-sender",
    "relay.our-address",
    "auth.not-offered-25",
    "auth.not-offered-in-clear",
    "auth.no-mail-in-clear",
    "auth.offered",
    "identity.tables",
    "tls.injection",
)
# Seconds: a process that was idle before the reload may take one more connection under the old rules.
SECOND_LOOK = 1.0

Probe = Callable[[Target, Spec], list[Problem]]


def probe_live(host: LocalHost, target: Target, spec: Spec) -> list[Problem]:
    """What strangers find wrong with the server of this machine; a warning where they cannot reach it."""
    checks = select_checks(CHECKS)
    try:
        report = probe_machine(host, spec, checks, target=target)
        if any(failed_checks(report, PLACE, only_refuted=True)):
            time.sleep(SECOND_LOOK)
            report = probe_machine(host, spec, checks, target=target)
    except (MailctlError, OSError) as error:
        return [_note(f"it was not asked from outside: {error}", getattr(error, "hint", ""))]
    problems = list(failed_checks(report, PLACE, only_refuted=True))
    if not problems and not report.is_safe:
        silent = ", ".join(result.name for result in report.results if result.verdict is Verdict.FAIL)
        return [_note(f"it gave strangers no answer to judge: {silent}", "`mailctl probe` shows the dialogues")]
    return problems


def _note(message: str, hint: str) -> Problem:
    return Problem(Origin(PLACE), "", message, hint, Severity.WARNING)
