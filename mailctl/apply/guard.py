"""Whoever undoes an apply that nobody confirmed: armed before the switch, and alive whatever becomes of mailctl.

A timer of systemd where that runs, else a process of its own session. A machine that boots again does not
wait: there the unit of mailctl.apply.boot undoes it at once.
"""

from __future__ import annotations

import time

from mailctl.apply.journal import read_unfinished
from mailctl.apply.recover import Say, recover
from mailctl.components.service import has_systemd, run
from mailctl.errors import BusyError, MailctlError
from mailctl.host import Host
from mailctl.sandbox.launch import PACKAGE_PARENT, python_module
from mailctl.target import Target

RETRY = 0.2  # seconds


def arm(host: Host, deadline: float) -> None:
    """Have `mailctl recover` run at `deadline` (seconds since 1970), with nothing that could be killed in between.

    Raises:
        MailctlError: nobody would undo it, so it must not begin.
    """
    if not host.is_live():
        return
    command = python_module("mailctl", "recover", "--at", repr(deadline))
    seconds = max(deadline - time.time(), 0)
    environment = f"PYTHONPATH={PACKAGE_PARENT}"
    if has_systemd(host):
        timer = [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--on-active={seconds:.3f}s",
            "--timer-property=AccuracySec=100ms",
        ]
        run(host, [*timer, f"--setenv={environment}", "--", *command], "the guard could not be armed")
    else:
        run(host, ["setsid", "--fork", "env", environment, *command], "the guard could not be armed")


def keep_watch(host: Host, target: Target, deadline: float, say: Say) -> None:
    """Wait for `deadline`, then undo the apply that set it, unless that was confirmed or undone before.

    Raises as recover does, but never because another process is at work: that one is waited for.
    """
    time.sleep(max(deadline - time.time(), 0))
    while (journal := read_unfinished(host, target)) is not None and journal.deadline == deadline:
        try:
            recover(host, target, say)
        except BusyError:
            time.sleep(RETRY)


def report(host: Host, message: str) -> None:
    """Tell the mail log what the guard did: nobody sees its terminal."""
    if host.is_live() and host.find_program("logger"):
        host.run(["logger", "-t", "mailctl", "-p", "mail.warning", "--", message])


def describe(error: MailctlError) -> str:
    """A failure of the guard in one line."""
    return "; ".join([error.message, *(f"{each.origin}: {each.message}" for each in error.problems), error.hint])
