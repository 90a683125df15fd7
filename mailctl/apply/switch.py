"""Putting files in place so that every moment in between serves mail rightly, and putting the old ones back.

Beside a file that is replaced lie, while the apply lasts, `.NAME.mailctl-new` (what comes),
`.NAME.mailctl-later` (what comes in the end, where that takes two steps) and `.NAME.mailctl-old`
(a second name of what was there, so that going back needs no disk space and restores the very file).
They lie beside it because a rename cannot leave the file system.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mailctl.apply.journal import Journal, Step
from mailctl.host import Host
from mailctl.plan.actual import read_directory
from mailctl.plan.model import DirectoryChange, Plan
from mailctl.target import Target
from mailctl.tree import RenderedFile, Tree

SECOND = 10**9
MAIN_CF_AGE = 10 * SECOND
SOFT_BOUNCE = b"soft_bounce = yes\n"
NEW, LATER, OLD = "new", "later", "old"


@dataclass(frozen=True, slots=True)
class Replacement:
    """One rename over `path`; `file` is None where the path goes away. `suffix` names the temporary file."""

    path: PurePosixPath
    file: RenderedFile | None
    suffix: str = NEW

    @property
    def temporary(self) -> PurePosixPath:
        return _beside(self.path, self.suffix)


def plan_replacements(plan: Plan, target: Target) -> list[Replacement]:
    """The renames that turn the host's files into the desired ones, in the order in which they must happen.

    Keys and services that are asked come before Postfix, which asks them; main.cf is the commit point;
    master.cf follows right before the reload; what goes away leaves last. So does a login: as long as
    Postfix takes mail for it, Dovecot must know it.
    """
    replacements: list[Replacement] = []
    for change in plan.changes:
        if change.is_table:
            continue
        after = plan.desired.files.get(change.path)
        before = plan.actual.files.get(change.path)
        both = _with_old_logins(before, after, target) if after else None
        if both is not None:
            replacements.append(Replacement(change.path, both))
            replacements.append(Replacement(change.path, after, LATER))
        else:
            replacements.append(Replacement(change.path, after))
    return sorted(replacements, key=lambda each: (_rank_of(each, target), each.path))


def soften(tree: Tree, target: Target) -> Tree:
    """`tree` with a main.cf that lets Postfix refuse nothing for good; soft_bounce in postconf(5)."""
    path = target.postfix_dir / "main.cf"
    main_cf = tree.files[path]
    soft = replace(main_cf, content=main_cf.content + SOFT_BOUNCE)
    return Tree({**tree.files, path: soft}, tree.directories)


def soften_replacements(plan: Plan, target: Target, replacements: list[Replacement]) -> list[Replacement]:
    """`replacements` with a main.cf that is in place until somebody confirms; `put_hard` ends that."""
    path = target.postfix_dir / "main.cf"
    others = [each for each in replacements if each.path != path]
    soft = Replacement(path, soften(plan.desired, target).files[path])
    position = next((n for n, each in enumerate(others) if _rank_of(each, target) > _MAIN_CF), len(others))
    return [*others[:position], soft, *others[position:]]


def prepare_hard(host: Host, target: Target, plan: Plan) -> None:
    """Write the main.cf that comes with the confirmation, so that confirming needs no space."""
    file = plan.desired.files[target.postfix_dir / "main.cf"]
    later = _beside(file.path, LATER)
    host.create(later, file.content, file.mode, file.owner, file.group)
    host.set_mtime(later, settled_time())


def put_hard(host: Host, target: Target) -> None:
    """Put the main.cf in place that `prepare_hard` wrote. Doing it again does no harm."""
    path = target.postfix_dir / "main.cf"
    if host.stat(_beside(path, LATER)) is not None:
        host.rename(_beside(path, LATER), path)


def set_directories(host: Host, journal: Journal, changes: Iterable[DirectoryChange]) -> None:
    """Make the directories there must be, and give those there are the mode and owner they need."""
    for change in changes:
        wanted = change.after
        found = read_directory(host, wanted.path)
        if found is None:
            host.make_directory(wanted.path, wanted.mode, wanted.owner, wanted.group)
        else:
            journal.write(Step.PERMISSIONS, path=str(found.path), mode=found.mode, owner=found.owner, group=found.group)
            host.set_permissions(wanted.path, wanted.mode, wanted.owner, wanted.group)


def prepare(host: Host, journal: Journal, replacements: list[Replacement], target: Target) -> None:
    """Write every new file beside its place: from here on, only renames are left, which need no space."""
    journal.write(Step.PREPARE, paths=[str(each.path) for each in replacements])
    for each in replacements:
        if each.file is not None:
            host.make_directory(each.path.parent)
            file = each.file
            host.create(each.temporary, file.content, file.mode, file.owner, file.group)
            host.set_mtime(each.temporary, _mtime(host, each, target))


def commit(host: Host, journal: Journal, replacements: list[Replacement]) -> None:
    """Rename the prepared files into place, one by one, each journalled before."""
    for each in replacements:
        exists = host.stat(each.path) is not None
        journal.write(Step.REPLACE, path=str(each.path), existed=exists)
        if exists and host.stat(_beside(each.path, OLD)) is None:
            host.link(each.path, _beside(each.path, OLD))
        if each.file is None:
            host.remove(each.path)
        else:
            host.rename(each.temporary, each.path)


def put_back(host: Host, journal: Journal) -> None:
    """Undo every step of `journal`, last first. Doing it again does no harm."""
    for record in reversed(journal.records):
        facts = record.facts
        if record.step is Step.REPLACE:
            _restore(host, PurePosixPath(facts["path"]), facts["existed"])
        elif record.step is Step.PERMISSIONS:
            host.set_permissions(PurePosixPath(facts["path"]), facts["mode"], facts["owner"], facts["group"])


def clean_up(host: Host, journal: Journal) -> None:
    """Remove what lies beside the files of `journal`."""
    for path in prepared_paths(journal):
        for suffix in (NEW, LATER, OLD):
            if host.stat(_beside(path, suffix)) is not None:
                host.remove(_beside(path, suffix))


def prepared_paths(journal: Journal) -> list[PurePosixPath]:
    """The files the apply of `journal` replaces, in its order."""
    names = (name for facts in journal.steps(Step.PREPARE) for name in facts["paths"])
    return [PurePosixPath(name) for name in dict.fromkeys(names)]


def not_put_back(host: Host, journal: Journal) -> Iterator[PurePosixPath]:
    """The files of which the new version is still in place."""
    return (path for path in prepared_paths(journal) if host.stat(_beside(path, OLD)) is not None)


def _restore(host: Host, path: PurePosixPath, existed: bool) -> None:
    old = _beside(path, OLD)
    if not existed:
        host.remove(path)
    elif host.stat(old) is not None:
        host.rename(old, path)
        # Two names of one file: rename(2) then does nothing and leaves both.
        if host.stat(old) is not None:
            host.remove(old)


_FIRST, _SIGNER, _DOVECOT, _POSTFIX, _MAIN_CF, _MASTER_CF, _LAST = range(7)


def _rank_of(replacement: Replacement, target: Target) -> int:
    is_last = replacement.file is None or replacement.suffix == LATER
    return _LAST if is_last else _rank(replacement.path, target)


def _rank(path: PurePosixPath, target: Target) -> int:
    if path == target.postfix_dir / "main.cf":
        return _MAIN_CF
    if path == target.postfix_dir / "master.cf":
        return _MASTER_CF
    if path.is_relative_to(target.postfix_dir):
        return _POSTFIX
    if path.is_relative_to(target.dovecot_dir):
        return _DOVECOT
    is_signer = path == target.opendkim_conf or path.is_relative_to(target.opendkim_dir)
    return _SIGNER if is_signer else _FIRST


def _with_old_logins(before: RenderedFile | None, after: RenderedFile, target: Target) -> RenderedFile | None:
    """A passwd-file with the logins of both sides; None where no login goes, or the file is another one."""
    if before is None or not after.is_secret or after.path.parent != target.dovecot_dir:
        return None
    kept = {line.split(b":", 1)[0] for line in after.content.splitlines()}
    gone = [line for line in before.content.splitlines() if line.split(b":", 1)[0] not in kept]
    return replace(after, content=after.content + b"".join(line + b"\n" for line in gone)) if gone else None


def _mtime(host: Host, replacement: Replacement, target: Target) -> int:
    """When the new file says it was changed, in nanoseconds since 1970.

    Dovecot takes a passwd-file of the same second and size for the one it has read already.
    """
    if replacement.path == target.postfix_dir / "main.cf":
        return settled_time()
    live = host.stat(replacement.path)
    earliest = 0 if live is None else (live.mtime_ns // SECOND + 1) * SECOND
    return max(time.time_ns(), earliest) + (SECOND if replacement.suffix == LATER else 0)


def settled_time() -> int:
    """A time for which no program of Postfix waits: with a main.cf younger than about a second each does."""
    return time.time_ns() - MAIN_CF_AGE


def _beside(path: PurePosixPath, suffix: str) -> PurePosixPath:
    return path.with_name(f".{path.name}.mailctl-{suffix}")
