"""OpenDKIM 2.11: signs what leaves; see opendkim.conf(5).

Files   opendkim.conf, opendkim/SigningTable, opendkim/TrustedHosts
Keys    are made here; KeyTable is written from them, not from the spec
Checks  opendkim -n, and every key
Reload  SIGUSR1; a restart where the socket or the user changed
"""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.base import Action, ReloadKind, Staged, nothing_missing
from mailctl.components.opendkim.check import check_conf, check_keys
from mailctl.components.opendkim.live import daemon as daemon
from mailctl.components.opendkim.live import perform as perform
from mailctl.components.opendkim.live import verify as verify
from mailctl.components.opendkim.view import (
    OpenDkimView,
    SigningRows,
    TrustedHosts,
    signing_table,
    trusted_hosts,
)
from mailctl.dkim.key_table import write_key_table
from mailctl.dkim.keys import ensure_key, signed_domains
from mailctl.dkim.states import current_key
from mailctl.errors import Problem
from mailctl.host import Host
from mailctl.render import render_template
from mailctl.spec.derive import signs
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

NAME = "OpenDKIM"
RESTART_OPTIONS = ("Socket", "UserID", "UMask", "PidFile")

enabled = signs
missing = nothing_missing


def required_users(spec: Spec, target: Target) -> tuple[str, ...]:
    return (target.opendkim_user, target.mail_owner)


def required_programs(spec: Spec) -> tuple[str, ...]:
    return ("opendkim", "openssl", "kill")


def render(spec: Spec, target: Target) -> Iterator[RenderedFile | RenderedDirectory]:
    yield RenderedDirectory(target.opendkim_dir)
    # Only Postfix may have mail signed: the socket gets its group from this folder, which nobody else enters.
    yield RenderedDirectory(target.opendkim_socket.parent, 0o2750, target.opendkim_user, target.mail_owner)
    conf = render_template("opendkim/opendkim.conf.j2", OpenDkimView.from_spec(spec, target))
    yield RenderedFile(target.opendkim_conf, conf)
    rows = SigningRows.from_spec(spec, target)
    yield RenderedFile(signing_table(target), render_template("opendkim/SigningTable.j2", rows))
    hosts = render_template("opendkim/TrustedHosts.j2", TrustedHosts.from_spec(spec))
    yield RenderedFile(trusted_hosts(target), hosts)


def build(host: Host, spec: Spec, target: Target, tree: Tree) -> list[Problem]:
    for domain, dkim in signed_domains(spec):
        ensure_key(host, target, current_key(host, target, domain, dkim.selector), dkim.bits)
    # Rows are only added here: those that serve now mean what they meant.
    write_key_table(host, target)
    return []


def check(host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
    return [*check_conf(host, target, staged), *check_keys(host, spec, target)]


def action(before: Tree, after: Tree) -> Action:
    conf = DEBIAN_12.opendkim_conf
    if conf not in after.files:
        return Action(NAME, ReloadKind.NOTHING)
    if conf not in before.files:
        return Action(NAME, ReloadKind.RESTART, "first configuration")
    changed = [option for option in RESTART_OPTIONS if _option(before, option) != _option(after, option)]
    if changed:
        return Action(NAME, ReloadKind.RESTART, f"{', '.join(changed)} changed")
    files = (conf, signing_table(DEBIAN_12), trusted_hosts(DEBIAN_12))
    names = [path.name for path in files if before.files.get(path) != after.files.get(path)]
    if names:
        return Action(NAME, ReloadKind.RELOAD, f"{', '.join(names)} changed")
    return Action(NAME, ReloadKind.NOTHING)


def _option(tree: Tree, name: str) -> str:
    file = tree.files.get(DEBIAN_12.opendkim_conf)
    lines = file.content.decode(errors="replace").splitlines() if file else []
    return next((line for line in lines if line.split(maxsplit=1)[:1] == [name]), "")
