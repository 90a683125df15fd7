"""Ending what an apply left: undone where its files were not proved, finished where they were.

The same code puts things back when an apply fails, and when the next run finds that one was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from mailctl.apply.generation import keep_generation, prune
from mailctl.apply.journal import Journal, Step, read_unfinished
from mailctl.apply.signals import uninterrupted
from mailctl.apply.staging import remove_work
from mailctl.apply.switch import clean_up, not_put_back, prepared_paths, put_back
from mailctl.components.base import ReloadKind
from mailctl.errors import MailctlError, Origin, Problem, RollbackError
from mailctl.host import Host
from mailctl.plan.actual import Known, read_actual
from mailctl.plan.make import service_actions
from mailctl.plan.stored import read_current, read_manifest
from mailctl.target import Target
from mailctl.tree import RenderedFile, Tree

Say = Callable[[str], None]


def lock_path(target: Target) -> PurePosixPath:
    return target.state_dir / "lock"


def recover(host: Host, target: Target, say: Say) -> None:
    """End an apply that was killed; nothing happens where none was.

    Raises:
        RollbackError: it can be neither finished nor undone; a person is needed.
        BusyError: it is not dead: another process is at it.
    """
    if read_unfinished(host, target) is None:
        return
    with host.lock(lock_path(target)):
        journal = read_unfinished(host, target)
        if journal is None:
            return
        if journal.is_verified:
            finish(host, target, journal, say)
            say(f"an interrupted apply was finished: generation {journal.number} serves")
        else:
            undo(host, target, journal, say)
            say("an interrupted apply was undone: the configuration before it serves")


def finish(host: Host, target: Target, journal: Journal, say: Say) -> None:
    """Make the generation that serves the current one, and remove what was kept to undo it."""
    with uninterrupted():
        if journal.number is not None:
            keep_generation(host, target, journal.work, journal.number)
        clean_up(host, journal)
        remove_work(host, target, journal)
        journal.end()
        try:
            prune(host, target)
        except (MailctlError, OSError) as error:
            say(f"note: old generations were not removed: {error}")


def undo(host: Host, target: Target, journal: Journal, say: Say) -> None:
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
        failures = _tell_services(host, target, journal, replaced) if replaced else []
        clean_up(host, journal)
        remove_work(host, target, journal)
        journal.end()
        if failures:
            raise RollbackError(
                "the old files are back, but not every service came back with them",
                hint="see its log (`journalctl -e`), restart it, then run `mailctl status`",
                problems=failures,
            )


def _replaced_tree(host: Host, target: Target, journal: Journal) -> Tree | None:
    """The files as the apply of `journal` left them, or meant to; None where it had replaced nothing."""
    if not journal.has(Step.REPLACE):
        return None
    replaced = [PurePosixPath(facts["path"]) for facts in journal.steps(Step.REPLACE)]
    live = _live_tree(host, target, journal)
    staged = ((path, host.read(journal.work / "files" / path.relative_to("/"))) for path in replaced)
    changed = {path: RenderedFile(path, content) for path, content in staged if content is not None}
    return Tree.of({**live.files, **changed}.values())


def _live_tree(host: Host, target: Target, journal: Journal) -> Tree:
    managed = read_manifest(host, target, read_current(host, target))
    known: dict[PurePosixPath, Known] = dict(managed.entries)
    for path in prepared_paths(journal):
        known.setdefault(path, RenderedFile(path, b""))
    return read_actual(host, target, known.values(), ()).tree


def _tell_services(host: Host, target: Target, journal: Journal, replaced: Tree) -> list[Problem]:
    """What went wrong when the services were told that the old files are back."""
    if not host.is_live():
        return []
    failures: list[Problem] = []
    for component, action in service_actions(replaced, _live_tree(host, target, journal)):
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
