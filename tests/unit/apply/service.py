"""A mail service small enough for a host in memory, with what makes a switch hard: a login list, tables, main.cf."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from mailctl.components.base import Action, ReloadKind, Staged, always_enabled, nothing_missing
from mailctl.errors import MailctlError, Origin, Problem
from mailctl.host import Completed, Host
from mailctl.spec.derive import alias_rows, logins
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree
from tests.memory_host import MemoryHost

NAME = "Postfix"
MAIN_CF = PurePosixPath("/etc/postfix/main.cf")
MASTER_CF = PurePosixPath("/etc/postfix/master.cf")
USERS = PurePosixPath("/etc/dovecot/mailctl.users")
SIGNER = PurePosixPath("/etc/opendkim.conf")

enabled = always_enabled
missing = nothing_missing


def required_users(spec: Spec, target: Target) -> tuple[str, ...]:
    return (target.vmail_user,)


def required_programs(spec: Spec) -> tuple[str, ...]:
    return ("postfix",)


def render(spec: Spec, target: Target) -> Iterator[RenderedFile | RenderedDirectory]:
    aliases = "".join(f"{row.address} {','.join(row.targets)}\n" for row in alias_rows(spec)).encode()
    directory = target.generations_dir / hashlib.sha256(aliases).hexdigest()[:12]
    yield RenderedDirectory(PurePosixPath("/var/vmail"), 0o700, "vmail", "vmail")
    yield RenderedDirectory(directory, 0o750, "root", "postfix")
    yield RenderedFile(directory / "virtual_alias", aliases, is_table=True)
    users = "".join(f"{login.address}:{login.password_hash.value}\n" for login in logins(spec)).encode()
    yield RenderedFile(USERS, users, 0o640, "root", "dovecot", is_secret=True)
    if any(record.dkim for record in spec.domains.values()):
        yield RenderedFile(SIGNER, b"Mode s\n")
    parameters = {
        "myhostname": spec.server.hostname,
        "mailctl_tables": directory,
        "message_size_limit": spec.server.message_size,
        "mynetworks": ", ".join(spec.server.trusted_networks),
        "transport_maps": ", ".join(f"{' '.join(route.to)} by {route.via}" for route in spec.routes),
        **spec.postfix.main,
    }
    yield RenderedFile(MAIN_CF, "".join(f"{name} = {value}\n" for name, value in parameters.items()).encode())
    yield RenderedFile(MASTER_CF, f"smtp inet {spec.server.role.value}\n".encode())


def build(host: Host, spec: Spec, target: Target, tree: Tree) -> list[Problem]:
    for file in tree:
        if file.is_table:
            host.run(["postmap", file.path])
            host.create(file.path.with_name(f"{file.path.name}.cdb"), b"index of " + file.content, 0o644)
    return []


def check(host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
    return _problems(host.run(["postconf", "-c", staged.path(target.postfix_dir), "-n"]), "main.cf")


def daemon(target: Target) -> None:
    return None


def action(before: Tree, after: Tree) -> Action:
    same = all(before.files.get(path) == after.files.get(path) for path in (MAIN_CF, MASTER_CF, SIGNER))
    if same or MAIN_CF not in after.files:
        return Action(NAME, ReloadKind.NOTHING)
    return Action(NAME, ReloadKind.RELOAD if before.files else ReloadKind.RESTART)


def perform(host: Host, target: Target, action: Action) -> None:
    done = host.run(["postfix", action.kind.value])
    if done.returncode:
        raise MailctlError(f"Postfix did not {action.kind.value}: {done.complaint}")


def verify(host: Host, tree: Tree, target: Target) -> list[Problem]:
    return _problems(host.run(["probe"]), "port 25")


def _problems(done: Completed, path: str) -> list[Problem]:
    return [Problem(Origin("Postfix"), path, done.complaint)] if done.returncode else []


class Daemon:
    """The running Postfix of a host in memory: it serves the main.cf it read last."""

    def __init__(self, host: MemoryHost) -> None:
        self.host = host
        self.serves: bytes | None = None
        self.reloads = 0
        host.programs["postfix"] = self.control

    def control(self, argv: tuple[str, ...], stdin: bytes) -> Completed:
        self.serves = self.host.nodes[MAIN_CF].content
        self.reloads += 1
        return Completed(argv, 0, b"", b"")
