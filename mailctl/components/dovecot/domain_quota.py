"""The quota of a whole domain: one counter file per domain, kept by Dovecot's quota dict backend.

Dovecot adds and subtracts what each message changes. It cannot count a domain: on a missing counter it takes
the first mailbox it meets for the whole. So the counter is made here, from the sizes in the Maildirs,
whenever a domain gets a quota it did not have.
Source: https://doc.dovecot.org/2.3/configuration_manual/quota/quota_dict/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.components.dovecot.view import users_file
from mailctl.host import Host, create_whole
from mailctl.spec.derive import hosts_mail
from mailctl.spec.model import Spec
from mailctl.target import Target

# Dovecot writes the size a message has with CRLF line ends, which is what quotas count, into its file name.
_SIZE = re.compile(r",W=(\d+)")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the mailboxes of one domain store together, in bytes and messages."""

    size: int
    messages: int


def quota_root(target: Target, domain: str) -> str:
    """The value of `quota2` for every mailbox of `domain`."""
    return f"dict:domain:{domain}:file:{counter_file(target, domain)}"


def counter_file(target: Target, domain: str) -> PurePosixPath:
    return target.domain_quota_dir / domain


def make_counters(host: Host, spec: Spec, target: Target) -> None:
    """Count every domain that has a quota and is not being counted by the live Dovecot already.

    Mail that arrives between this and the switch of the configuration is not in the count.
    """
    limited = [domain for domain, record in spec.domains.items() if record.quota] if hosts_mail(spec) else []
    live = host.read(users_file(target)) or b""
    for domain in limited:
        path = counter_file(target, domain)
        if f"userdb_quota2={quota_root(target, domain)} ".encode() not in live or host.stat(path) is None:
            _write_counter(host, target, path, count_usage(host, target, domain))


def count_usage(host: Host, target: Target, domain: str) -> Usage:
    """What lies in the Maildirs of `domain`, those of removed mailboxes included."""
    sizes = [size for folder in _maildir_folders(host, target, domain) for size in _message_sizes(host, folder)]
    return Usage(sum(sizes), len(sizes))


def _maildir_folders(host: Host, target: Target, domain: str) -> Iterator[PurePosixPath]:
    for name in host.list_directory(target.mail_dir / domain):
        inbox = target.mail_dir / domain / name / "Maildir"
        folders = [inbox / each for each in host.list_directory(inbox) if each.startswith(".")]
        for folder in (inbox, *folders):
            yield folder / "cur"
            yield folder / "new"


def _message_sizes(host: Host, folder: PurePosixPath) -> Iterator[int]:
    for name in host.list_directory(folder):
        match = _SIZE.search(name)
        state = None if match else host.stat(folder / name)
        if match:
            yield int(match[1])
        elif state:
            yield state.size


def _write_counter(host: Host, target: Target, path: PurePosixPath, usage: Usage) -> None:
    owner = target.vmail_user
    host.make_directory(path.parent, 0o700, owner, owner)
    content = f"priv/quota/storage\n{usage.size}\npriv/quota/messages\n{usage.messages}\n"
    create_whole(host, path, content.encode(), 0o600, owner, owner)
