"""Dovecot's passwd-files: one line per login, hashes only.

A line is `user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields`; uid, gid and home come from dovecot.conf.
Source: https://doc.dovecot.org/2.3/configuration_manual/authentication/passwd_file/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from mailctl.components.dovecot.domain_quota import quota_root
from mailctl.components.dovecot.view import smtp_users_file, users_file
from mailctl.render import join_lines
from mailctl.spec.derive import Login, hosts_mail, logins
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedFile, Tree

MODE = 0o640


def render_users(spec: Spec, target: Target) -> Iterator[RenderedFile]:
    """The passwd-file of the mailboxes, and the one of who may only send.

    A server that stores no mail has the second alone: its mailboxes, too, can do nothing but send there.
    """
    everyone = sorted(logins(spec), key=lambda login: login.address)
    if not hosts_mail(spec):
        yield _passwd_file(smtp_users_file(target), [*map(_sender_line, everyone)], target)
        return
    owners = [_mailbox_line(login, target) for login in everyone if login.has_mailbox]
    yield _passwd_file(users_file(target), owners, target)
    senders = [_sender_line(login) for login in everyone if not login.has_mailbox]
    if senders:
        yield _passwd_file(smtp_users_file(target), senders, target)


def login_names(tree: Tree, target: Target) -> list[str]:
    """The logins in the passwd-files of `tree`, those with a mailbox first."""
    return [*mailbox_names(tree, target), *_names(tree.files.get(smtp_users_file(target)))]


def mailbox_names(tree: Tree, target: Target) -> list[str]:
    """The logins in `tree` that have a mailbox."""
    return _names(tree.files.get(users_file(target)))


def _names(file: RenderedFile | None) -> list[str]:
    lines = file.content.splitlines() if file else []
    return [line.split(b":", 1)[0].decode(errors="replace") for line in lines if b":" in line]


def _passwd_file(path: PurePosixPath, lines: Sequence[str], target: Target) -> RenderedFile:
    return RenderedFile(path, join_lines(lines, str(path)), MODE, "root", target.dovecot_user, is_secret=True)


def _sender_line(login: Login) -> str:
    return f"{login.address}:{login.password_hash.value}::::::"


def _mailbox_line(login: Login, target: Target) -> str:
    own = f"userdb_quota_rule=*:bytes={login.quota}" if login.quota else ""
    shared = _domain_quota_fields(login, target) if login.domain_quota else ""
    return f"{_sender_line(login)}{own}{' ' if own and shared else ''}{shared}"


def _domain_quota_fields(login: Login, target: Target) -> str:
    root = quota_root(target, login.address.rpartition("@")[2])
    return f"userdb_quota2={root} userdb_quota2_rule=*:bytes={login.domain_quota}"
