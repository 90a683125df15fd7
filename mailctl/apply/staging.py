"""What an apply makes before it touches a live file: the staged tree, built tables, and what checks say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from mailctl.apply.journal import Journal
from mailctl.apply.switch import settled_time
from mailctl.components import registry
from mailctl.components.base import Staged
from mailctl.errors import MailctlError, Problem, Severity
from mailctl.host import Host
from mailctl.plan.model import Plan
from mailctl.plan.stored import COMPLETE, missing_tables, tables_dir
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, Tree


def stage_files(host: Host, journal: Journal, plan: Plan) -> Staged:
    """Write the files of `plan`, lookup tables apart, below the working folder under their real paths."""
    staged = Staged(journal.work / "files", plan.tree)
    host.make_directory(journal.work, 0o700)
    for file in plan.desired:
        if not file.is_table:
            path = staged.path(file.path)
            host.make_directory(path.parent)
            host.create(path, file.content, file.mode, file.owner, file.group)
            host.set_mtime(path, settled_time())
    return staged


def build(host: Host, journal: Journal, spec: Spec, target: Target, tree: Tree) -> None:
    """Make the table directory of `tree`, complete before it gets its name, and keys that are kept for ever.

    Raises:
        MailctlError: a table could not be built.
    """
    final = tables_dir(tree)
    if final is None or _is_complete(host, tree, final):
        _build_components(host, spec, target, _without_tables(tree))
        return
    fresh = _fresh(target, journal)
    directory = next((each for each in tree.directories if each.path == final), None)
    made = replace(directory or RenderedDirectory(final, 0o750, "root", target.mail_owner), path=fresh)
    host.make_directory(fresh, made.mode, made.owner, made.group)
    for file in tree:
        if file.is_table:
            host.create(fresh / file.path.name, file.content, file.mode, file.owner, file.group)
    _build_components(host, spec, target, _with_tables_in(tree, fresh))
    if host.is_live():
        names = "".join(f"{name}\n" for name in host.list_directory(fresh))
        host.create(fresh / COMPLETE, names.encode(), 0o644)
    host.sync_tree(fresh)
    if host.stat(final) is not None:
        # Somebody damaged it. Until the next line is done, Postfix defers what needs a table.
        host.rename(final, fresh.with_name(f"{fresh.name}.damaged"))
    host.rename(fresh, final)


def require_tables(host: Host, tree: Tree) -> None:
    """Raises MailctlError where the tables of an old generation are not whole any more."""
    directory = tables_dir(tree)
    if directory is not None and not _is_complete(host, tree, directory):
        raise MailctlError(
            f"the lookup tables of that generation are damaged: {directory}",
            hint="apply a spec instead: that builds them anew",
        )


def check(host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
    """What the services' own checkers, and ours, say of the staged files; errors and warnings."""
    components = registry.enabled_components(spec)
    return [problem for component in components for problem in component.check(host, spec, target, staged)]


def refuse(problems: Iterable[Problem], sentence: str) -> list[Problem]:
    """The warnings among `problems`.

    Raises:
        MailctlError: there are errors among them.
    """
    found = list(problems)
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    if errors:
        raise MailctlError(sentence, problems=found)
    return found


def remove_work(host: Host, target: Target, journal: Journal) -> None:
    """Remove what staging left: the working folder, and a table directory without a name."""
    fresh = _fresh(target, journal)
    for path in (journal.work, fresh, fresh.with_name(f"{fresh.name}.damaged")):
        host.remove_tree(path)


def _build_components(host: Host, spec: Spec, target: Target, tree: Tree) -> None:
    if not host.is_live():
        return
    problems = [
        problem
        for component in registry.enabled_components(spec)
        for problem in component.build(host, spec, target, tree)
    ]
    refuse(problems, "the lookup tables could not be built")


def _is_complete(host: Host, tree: Tree, directory: PurePosixPath) -> bool:
    if host.stat(directory) is None or missing_tables(host, directory):
        return False
    return all(host.read(file.path) == file.content for file in tree if file.is_table)


def _without_tables(tree: Tree) -> Tree:
    return Tree({path: file for path, file in tree.files.items() if not file.is_table}, tree.directories)


def _with_tables_in(tree: Tree, directory: PurePosixPath) -> Tree:
    files = (replace(file, path=directory / file.path.name) if file.is_table else file for file in tree)
    return Tree.of([*files, *tree.directories])


def _fresh(target: Target, journal: Journal) -> PurePosixPath:
    return target.generations_dir / f".new-{journal.name}"
