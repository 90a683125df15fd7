"""Ending what an apply left: undone where its files were not proved, finished where they were.

The same code puts things back when an apply fails, and when the next run finds that one was killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from mailctl.apply.generation import keep_generation, prune
from mailctl.apply.journal import Journal, Step, read_unfinished
from mailctl.apply.sessions import end_sessions, removed_logins
from mailctl.apply.signals import uninterrupted
from mailctl.apply.staging import remove_work
from mailctl.apply.switch import clean_up, not_put_back, prepared_paths, put_back, put_hard, soften
from mailctl.components.base import ReloadKind
from mailctl.errors import BusyError, MailctlError, Origin, Problem, RollbackError
from mailctl.host import Host
from mailctl.plan.actual import Known, read_actual
from mailctl.plan.make import service_actions
from mailctl.plan.stored import ORIGINALS, read_current, read_manifest
from mailctl.target import Target
from mailctl.tree import RenderedFile, Tree

Say = Callable[[str], None]


def lock_path(target: Target) -> PurePosixPath:
    return target.state_dir / "lock"


def recover(host: Host, target: Target, say: Say, *, give_up: bool = False, services: bool = True) -> bool:
    """End an apply that was killed, or that nobody confirmed in time; whether there was one.

    Args:
        give_up: undo one that waits for its confirmation, too.
        services: whether they are told; at boot they have not started yet.

    Raises:
        RollbackError: it can be neither finished nor undone; a person is needed.
        BusyError: it is not dead: another process is at it, or it may still be confirmed.
    """
    if read_unfinished(host, target) is None:
        return False
    with host.lock(lock_path(target)):
        journal = read_unfinished(host, target)
        if journal is None:
            return False
        if journal.is_verified:
            finish(host, target, journal, say, services=services)
            say(f"an interrupted apply was finished: generation {journal.number} serves")
        else:
            if not give_up:
                _refuse_waiting(journal)
            undo(host, target, journal, say, services=services)
            what = "unconfirmed" if journal.is_waiting else "interrupted"
            say(f"an {what} apply was undone: the configuration before it serves")
        return True


def confirm(host: Host, target: Target, say: Say, decided: Callable[[], None] = lambda: None) -> int:
    """Keep the generation that waits for its confirmation; its number. `decided` is called once it is kept.

    Whoever of this and the guard at the deadline gets the lock first decides; the other finds nothing left to do.

    Raises:
        MailctlError: nothing waits, or it is too late.
        BusyError: another process is at it, the guard perhaps.
    """
    _require_waiting(read_unfinished(host, target))
    with host.lock(lock_path(target)):
        journal = _require_waiting(read_unfinished(host, target))
        if is_late(journal):
            undo(host, target, journal, say)
            raise MailctlError("the time to confirm is over: the configuration before it serves again")
        with uninterrupted():
            journal.write(Step.VERIFIED)
            decided()
            finish(host, target, journal, say)
        return journal.number or ORIGINALS


def _require_waiting(journal: Journal | None) -> Journal:
    if journal is None or not journal.is_waiting:
        raise MailctlError("nothing waits for a confirmation", hint="`mailctl status` says what serves")
    return journal


def is_waiting(host: Host, target: Target) -> bool:
    """Whether an apply waits for its confirmation."""
    journal = read_unfinished(host, target)
    return journal is not None and journal.is_waiting


def is_late(journal: Journal) -> bool:
    """Whether the time to confirm is over."""
    return journal.deadline is not None and time.time() >= journal.deadline


def finish(host: Host, target: Target, journal: Journal, say: Say, *, services: bool = True) -> None:
    """Make the generation that serves the current one, and remove what was kept to undo it."""
    with uninterrupted():
        if journal.deadline is not None:
            _harden(host, target, journal, services)
        if journal.number is not None:
            keep_generation(host, target, journal.work, journal.number)
        clean_up(host, journal)
        remove_work(host, target, journal)
        journal.end()
        try:
            prune(host, target)
        except (MailctlError, OSError) as error:
            say(f"note: old generations were not removed: {error}")


def _harden(host: Host, target: Target, journal: Journal, services: bool) -> None:
    """Let Postfix refuse for good again. Doing it again does no harm."""
    put_hard(host, target)
    live = _live_tree(host, target, journal)
    failures = _tell_services(host, target, soften(live, target), live) if services else []
    if failures:
        raise MailctlError("Postfix did not take back its soft_bounce; run `mailctl recover`", problems=failures)


def _refuse_waiting(journal: Journal) -> None:
    if journal.is_waiting and not is_late(journal):
        until = time.strftime("%H:%M:%S", time.localtime(journal.deadline))
        raise BusyError(
            f"generation {journal.number} waits for a confirmation, and is undone at {until} without one",
            hint="`mailctl confirm` keeps it, `mailctl rollback` undoes it now",
        )


def undo(host: Host, target: Target, journal: Journal, say: Say, *, services: bool = True) -> None:
    """Put every file back that `journal` replaced, and tell the services. Doing it again does no harm.

    Raises:
        RollbackError: a file could not be put back, or a service did not come back with the old files.
    """
    with uninterrupted():
        try:
            replaced = _replaced_tree(host, target, journal)
            put_back(host, journal)
        except (MailctlError, OSError) as error:
            raise _not_undone(host, target, journal, error) from error
        failures = []
        if replaced is not None and services:
            live = _live_tree(host, target, journal)
            failures = _tell_services(host, target, replaced, live)
            _end_sessions(host, removed_logins(replaced, live, target), say)
        clean_up(host, journal)
        remove_work(host, target, journal)
        journal.end()
        if failures:
            raise RollbackError(
                "the old files are back, but not every service came back with them",
                hint="see its log (`journalctl -e`), restart it, then run `mailctl status`",
                problems=failures,
            )


def _end_sessions(host: Host, logins: list[str], say: Say) -> None:
    """End what logins have open that came with what is undone; going back does not fail for that."""
    try:
        for warning in end_sessions(host, logins):
            say(str(warning))
    except (MailctlError, OSError) as error:
        say(f"warning: sessions of {', '.join(logins)} may still be open: {error}")


def _replaced_tree(host: Host, target: Target, journal: Journal) -> Tree | None:
    """The files as the apply of `journal` left them, or meant to; None where it had replaced nothing."""
    if not journal.has(Step.REPLACE):
        return None
    replaced = [PurePosixPath(facts["path"]) for facts in journal.steps(Step.REPLACE)]
    live = _live_tree(host, target, journal)
    staged = ((path, host.read(journal.work / "files" / path.relative_to("/"))) for path in replaced)
    changed = {path: RenderedFile(path, content) for path, content in staged if content is not None}
    tree = Tree.of({**live.files, **changed}.values())
    return tree if journal.deadline is None else soften(tree, target)


def _live_tree(host: Host, target: Target, journal: Journal) -> Tree:
    managed = read_manifest(host, target, read_current(host, target))
    known: dict[PurePosixPath, Known] = dict(managed.entries)
    for path in prepared_paths(journal):
        known.setdefault(path, RenderedFile(path, b""))
    return read_actual(host, target, known.values(), ()).tree


def _tell_services(host: Host, target: Target, before: Tree, after: Tree) -> list[Problem]:
    """What went wrong when the services were told that the files of `before` are those of `after` now."""
    if not host.is_live():
        return []
    failures: list[Problem] = []
    for component, action in service_actions(before, after):
        if action.kind is ReloadKind.NOTHING:
            continue
        try:
            component.perform(host, target, action)
        except (MailctlError, OSError) as error:
            failures.append(Problem(Origin(component.NAME), "", str(error)))
    return failures


def _not_undone(host: Host, target: Target, journal: Journal, error: Exception) -> RollbackError:
    return RollbackError(
        f"the old configuration could not be put back: {error}",
        hint="remove the cause, then run `mailctl apply` or `mailctl rollback`: both try again first",
        problems=list(_left_over(host, journal)),
    )


def _left_over(host: Host, journal: Journal) -> Iterator[Problem]:
    for path in not_put_back(host, journal):
        old = path.with_name(f".{path.name}.mailctl-old")
        yield Problem(Origin(str(path)), "", "still holds the new version", f"the old one is {old}")
