"""Passwords for a probe of a sandbox: for as long as it lasts, Dovecot there reads passwd-files that we know.

A copy of each passwd-file, with other hashes for a few logins, is mounted over it; the rendered files stay what
they are, byte for byte.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from mailctl.errors import MailctlError
from mailctl.sandbox import Sandbox
from mailctl.spec.hash import Scheme, hash_password
from mailctl.target import Target

PASSWD_FILES = ("mailctl.users", "mailctl.smtp-users")
SCRATCH = PurePosixPath("/run/mailctl-probe")
REREAD = 0.05  # seconds after a whole one


@contextmanager
def known_passwords(sandbox: Sandbox, target: Target, logins: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """A password for each of `logins`, good while the block runs, from `when_reread` on.

    Raises:
        MailctlError: the copies cannot be put in place.
    """
    passwords = dict.fromkeys(logins, secrets.token_urlsafe(16))
    if not passwords:
        yield {}
        return
    # A cheap hash: dozens of dialogues log in at the same time.
    hashed = hash_password(sandbox.host, next(iter(passwords.values())), Scheme.SHA512_CRYPT)
    with ExitStack() as stack:
        for name in PASSWD_FILES:
            path = target.dovecot_dir / name
            if sandbox.path(path).exists():
                stack.enter_context(_covered(sandbox, path, passwords, hashed))
        yield passwords


def when_reread() -> float:
    """When Dovecot knows of a passwd-file that has just changed, as time.monotonic tells it.

    Once in each second of the clock it looks whether one has.
    """
    return time.monotonic() + 1 - time.time() % 1 + REREAD


def _replace_hashes(file: Path, logins: Container[str], hashed: str) -> str:
    lines = []
    for line in file.read_text().splitlines():
        login, _, rest = line.partition(":")
        lines.append(f"{login}:{hashed}:{rest.partition(':')[2]}" if login in logins else line)
    return "".join(f"{line}\n" for line in lines)


@contextmanager
def _covered(sandbox: Sandbox, path: PurePosixPath, logins: Container[str], hashed: str) -> Iterator[None]:
    """The file looks as if `logins` had another hash."""
    # A probe that was killed may have left its own copy there.
    while not sandbox.run(["mountpoint", "--quiet", str(path)]).returncode:
        _mount(sandbox, "umount", "--lazy", str(path))
    original, copy = sandbox.path(path), sandbox.path(SCRATCH / path.name)
    copy.parent.mkdir(mode=0o755, exist_ok=True)
    copy.touch(0o600)
    copy.write_text(_replace_hashes(original, logins, hashed))
    shutil.copymode(original, copy)
    found = original.stat()
    os.chown(copy, found.st_uid, found.st_gid)
    # Dovecot reads a file again when its size or the second of its modification time differs.
    moment = secrets.randbelow(int(found.st_mtime))
    os.utime(copy, (moment, moment))
    _mount(sandbox, "mount", "--bind", str(SCRATCH / path.name), str(path))
    try:
        yield
    finally:
        # Lazy, because Dovecot may have it open.
        _mount(sandbox, "umount", "--lazy", str(path))
        copy.unlink()


def _mount(sandbox: Sandbox, *argv: str) -> None:
    done = sandbox.run(argv)
    if done.returncode:
        raise MailctlError(f"cannot give the probe its logins: {done.complaint}")
