"""The canary: a plan boots in private, at real paths and ports, and strangers try it before anything live changes.

It is a lab that does not stay up, and sealed: no packet leaves it, no file of the host can be written from it, and
its queue and mailboxes are empty. It dies with the process that started it, however that ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from mailctl.apply.findings import complaints, failed_checks
from mailctl.apply.live_log import service_lines
from mailctl.apply.switch import settled_time
from mailctl.components import registry
from mailctl.components.base import Action, ReloadKind
from mailctl.errors import MailctlError, NeedsRootError, Origin, Problem, UnfitError
from mailctl.host import LocalHost
from mailctl.plan.model import Plan
from mailctl.probe import Report, Verdict, probe_sandbox, select_checks
from mailctl.probe.logins import known_passwords
from mailctl.probe.subject import probe_logins
from mailctl.sandbox import Sandbox, Settings
from mailctl.spec.model import Spec
from mailctl.target import MAIL_LOG, Target
from mailctl.tree import Tree

PLACE = "canary"
POSTFIX_DATA = PurePosixPath("/var/lib/postfix")  # data_directory: caches, and the lock of the running master
NOTHING_PROBED = Report((), 0.0)
LONGEST_PROBE = 90.0  # seconds; a machine under load may need some of them, another one two
WITHOUT = "`--no-canary` applies without one"
FOREIGN = f"where it needs a service that only the server itself has, {WITHOUT}"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A canary that lived: how many checks it passed, and in how many seconds, its start and end included."""

    checks: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.checks} checks in {self.seconds:.1f} s"


Rehearse = Callable[[Target, Spec, Plan, PurePosixPath], Rehearsal]


def rehearse(host: LocalHost, target: Target, spec: Spec, plan: Plan, folder: PurePosixPath) -> Rehearsal:
    """Serve what `plan` leads to in private and probe it; what that needs lies in `folder`.

    Raises:
        UnfitError: this machine cannot do that.
        MailctlError: the configuration does not hold; says which check failed, with the dialogue.
    """
    started = time.monotonic()
    checks = select_checks(fast=True)
    with _sandbox(host, target, spec, folder) as sandbox:
        sandbox.call_in_place(partial(_install, LocalHost(), plan))
        with known_passwords(sandbox, target, probe_logins(spec)) as passwords:
            problems = sandbox.call_in_place(partial(_boot, LocalHost(), target, plan.tree))
            report = NOTHING_PROBED
            if not problems:
                report = probe_sandbox(sandbox, spec, checks, target=target, passwords=passwords, limit=LONGEST_PROBE)
        problems += complaints(service_lines(sandbox.path(MAIL_LOG).read_text(errors="replace")))
    _refuse([*problems, *failed_checks(report, PLACE)], is_refuted=not report.is_safe)
    held = sum(result.verdict in (Verdict.OK, Verdict.WARN) for result in report.results)
    return Rehearsal(held, round(time.monotonic() - started, 2))


def _refuse(problems: Iterable[Problem], *, is_refuted: bool) -> None:
    found = list(dict.fromkeys(problems))
    if found:
        hint = "" if is_refuted else FOREIGN
        raise MailctlError("the new configuration failed in the canary", hint, found)


@contextmanager
def _sandbox(host: LocalHost, target: Target, spec: Spec, folder: PurePosixPath) -> Iterator[Sandbox]:
    settings = Settings(
        hostname=spec.server.hostname,
        empty=tuple(map(str, (target.postfix_queue_dir, target.mail_dir, POSTFIX_DATA))),
        sealed=True,
    )
    host.make_directory(folder, 0o700)
    try:
        sandbox = Sandbox.start(host, host.path(folder), settings)
    except NeedsRootError:
        raise
    except MailctlError as error:
        hint = f"{error.hint}; {WITHOUT}" if error.hint else WITHOUT
        raise UnfitError(f"no canary can live on this machine: {error.message}", hint, error.problems) from error
    with sandbox:
        yield sandbox


def _install(inside: LocalHost, plan: Plan) -> None:
    """Make the files inside what `plan` makes of those outside; its tables are there already."""
    for directory in plan.desired.directories:
        inside.make_directory(directory.path, directory.mode, directory.owner, directory.group)
        inside.set_permissions(directory.path, directory.mode, directory.owner, directory.group)
    for change in plan.changes:
        if change.is_table:
            continue
        inside.remove(change.path)
        file = plan.desired.files.get(change.path)
        if file is not None:
            inside.make_directory(file.path.parent)
            inside.create(file.path, file.content, file.mode, file.owner, file.group)
            inside.set_mtime(file.path, settled_time())


def _boot(inside: LocalHost, target: Target, tree: Tree) -> list[Problem]:
    """Start every service, and say what is wrong with it then."""
    problems: list[Problem] = []
    for component in registry.serving_components(tree):
        try:
            component.perform(inside, target, Action(component.NAME, ReloadKind.RESTART))
            problems += component.verify(inside, tree, target)
        except MailctlError as error:
            return [*problems, Problem(Origin(PLACE), component.NAME, error.message, error.hint)]
    return problems
