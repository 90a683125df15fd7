"""Whose words root is about to act on: every file of a spec, and every folder on the way to it.

Checked after reading: who may not write a folder now could not have put another file there a moment ago.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mailctl.errors import Origin, Problem

if TYPE_CHECKING:
    from mailctl.spec.model import Spec

MOST_LINKS = 40  # as the kernel, path_resolution(7)
ROOT = 0
ACCESS_LIST = "system.posix_acl_access"


def trusted_users() -> frozenset[int]:
    """User ids that may decide what root does: root, and who became root with sudo(8)."""
    caller = os.environ.get("SUDO_UID", "")
    return frozenset({ROOT, int(caller)} if caller.isdecimal() else {ROOT})


def spec_files(spec: Spec) -> Iterator[Path]:
    """Every file a spec was read from: itself, what it includes, and the secrets it names."""
    yield from map(Path, spec.origins.files)
    secrets = [mailbox.password for record in spec.domains.values() for mailbox in record.mailboxes.values()]
    secrets += [relay.password for relay in spec.relays.values() if relay.password]
    yield from (secret.path for secret in secrets if secret.path)


def untrusted(files: Iterable[Path], users: frozenset[int]) -> list[Problem]:
    """A problem for each file or folder on the way that somebody else than `users` owns or can write."""
    trust = _Trust(users)
    # Not normalised: `link/..` is where the link leads.
    ways = {file: tuple(trust.way(file.absolute())) for file in files}
    steps = dict.fromkeys(step for way in ways.values() for step in way)
    found = [problem for step in steps for problem in trust.problems(step)]
    return found + [_elsewhere(file) for file, way in ways.items() if not (found or _is_same(file, way[-1]))]


class _Trust:
    def __init__(self, users: frozenset[int]) -> None:
        self._users = users
        self.way_to_folder = cache(self._way_to_folder)
        self._is_private_group = cache(self._has_only_users)

    def way(self, file: Path) -> Iterator[Path]:
        """The folders and links on the way to `file`, and the file; links are followed as the kernel does."""
        folders = self.way_to_folder(file.parent)
        yield from folders
        yield from _follow(folders[-1], [file.name])

    def _way_to_folder(self, folder: Path) -> tuple[Path, ...]:
        return (Path("/"), *_follow(Path("/"), list(folder.parts[1:])))

    def problems(self, step: Path) -> Iterator[Problem]:
        try:
            state = step.lstat()
        except OSError as error:
            yield Problem(Origin(str(step)), "", f"cannot be looked at: {(error.strerror or '').lower()}")
            return
        if state.st_uid not in self._users:
            yield Problem(Origin(str(step)), "", f"belongs to {_user_name(state.st_uid)}", f"chown root {step}")
        elif who := self._other_writers(step, state):
            yield Problem(Origin(str(step)), "", f"{who} can write it", f"chmod go-w {step}")

    def _other_writers(self, step: Path, state: os.stat_result) -> str:
        is_sticky_folder = stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX
        if stat.S_ISLNK(state.st_mode) or is_sticky_folder:
            return ""
        if state.st_mode & stat.S_IWOTH:
            return "everybody"
        if not state.st_mode & stat.S_IWGRP:
            return ""
        # With an access list, the group bits are the most that anybody on the list may do.
        is_private = self._is_private_group(state.st_gid) and not _has_access_list(step)
        return "" if is_private else f"the group {_group_name(state.st_gid)}"

    def _has_only_users(self, gid: int) -> bool:
        """Whether nobody else is in a group, as in those that each user has for himself."""
        names = {each.pw_name for each in pwd.getpwall() if each.pw_uid in self._users}
        members = {each.pw_name for each in pwd.getpwall() if each.pw_gid == gid}
        return members | set(_members(gid)) <= names


def _is_same(file: Path, end: Path) -> bool:
    """Whether what is opened as `file` is where its links lead; those in /proc may lead into another file system."""
    try:
        return os.path.samestat(file.stat(), end.lstat())
    except OSError:
        return False


def _elsewhere(file: Path) -> Problem:
    return Problem(Origin(str(file)), "", "leads elsewhere than its links say", "name the file by its own path")


def _follow(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Each step from `folder` along `parts`, links and what they lead to included; the last one is the end."""
    links = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            folder = folder.parent
            yield folder
            continue
        step = folder / part
        yield step
        if not step.is_symlink():
            folder = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(step))
        target = step.readlink()
        if target.is_absolute():
            folder = Path("/")
        parts = [*target.parts[target.is_absolute() :], *parts]


def _has_access_list(step: Path) -> bool:
    try:
        return ACCESS_LIST in os.listxattr(step, follow_symlinks=False)
    except OSError:
        return False  # a file system without them


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _members(gid: int) -> list[str]:
    try:
        return grp.getgrgid(gid).gr_mem
    except KeyError:
        return []
