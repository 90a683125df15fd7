"""What strangers see of the live server right after the switch; what it does wrong is put back.

A few dialogues from outside addresses: the canary made all of them with the same files. What counts is a server that
shows itself wrong. One that says nothing may have a firewall, or a resolver that is down: that is worth a note.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from mailctl.apply.findings import failed_checks
from mailctl.components.dovecot.users import mailbox_names
from mailctl.components.postfix.cf import host_name, main_parameters
from mailctl.errors import MailctlError, Origin, Problem, Severity
from mailctl.host import LocalHost
from mailctl.probe import Verdict, probe_machine, select_checks
from mailctl.spec.model import Spec
from mailctl.spec.values.networks import parse_network
from mailctl.target import Target
from mailctl.tree import Tree

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

Probe = Callable[[Target, Tree, Spec | None], list[Problem]]


def probe_live(host: LocalHost, target: Target, tree: Tree, spec: Spec | None) -> list[Problem]:
    """What strangers find wrong with the server of this machine; a warning where they cannot reach it.

    It serves the files in `tree`. Without a spec, as after going back, checks that compare with one are left out.
    """
    known = {} if spec else _known(tree, target)
    ask = partial(probe_machine, host, spec, select_checks(CHECKS), target=target, **known)
    try:
        report = ask()
        if any(failed_checks(report, PLACE, only_refuted=True)):
            time.sleep(SECOND_LOOK)
            report = ask()
    except (MailctlError, OSError) as error:
        return [_note(f"it was not asked from outside: {error}", getattr(error, "hint", ""))]
    problems = list(failed_checks(report, PLACE, only_refuted=True))
    if not problems and not report.is_safe:
        silent = ", ".join(result.name for result in report.results if result.verdict is Verdict.FAIL)
        return [_note(f"it gave strangers no answer to judge: {silent}", "`mailctl probe` shows the dialogues")]
    return problems


def _known(tree: Tree, target: Target) -> dict[str, Any]:
    """What the files say of whom the dialogues name, and of whom the server trusts."""
    file = tree.files.get(target.postfix_dir / "main.cf")
    main_cf = file.content.decode(errors="replace") if file else ""
    people = {"hostname": host_name(main_cf), "mailbox": next(iter(mailbox_names(tree, target)), "")}
    return {"people": people, "trusted_networks": tuple(_networks(main_cf))}


def _networks(main_cf: str) -> Iterator[str]:
    """The networks main.cf trusts, of those a spec could name: who trusts the whole world is probed for that.

    In files from before the first apply there may be tables besides.
    """
    for word in main_parameters(main_cf).get("mynetworks", "").replace(",", " ").split():
        with suppress(ValueError):
            yield parse_network(word.translate({ord("["): None, ord("]"): None}))


def _note(message: str, hint: str) -> Problem:
    return Problem(Origin(PLACE), "", message, hint, Severity.WARNING)
