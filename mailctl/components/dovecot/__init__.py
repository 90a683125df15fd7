"""Dovecot 2.3: IMAP, LMTP, quota, and SASL for Postfix; see doveconf(1), doveadm(1).

Files   dovecot/dovecot.conf, dovecot/mailctl.users, dovecot/mailctl.smtp-users, dovecot/mailctl-quota-warning
Checks  doveconf -n
Reload  doveadm reload; nothing for a change of logins, which Dovecot notices by itself
"""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.base import Action, ReloadKind, Staged, nothing_missing
from mailctl.components.dovecot.domain_quota import make_counters
from mailctl.components.dovecot.live import daemon as daemon
from mailctl.components.dovecot.live import perform as perform
from mailctl.components.dovecot.live import verify as verify
from mailctl.components.dovecot.users import render_users
from mailctl.components.dovecot.view import (
    LOCAL_DELIVERY_AGENT,
    DovecotConf,
    conf_file,
    smtp_users_file,
    users_file,
    warning_script,
)
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.render import render_template
from mailctl.spec.derive import hosts_mail, takes_logins
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target
from mailctl.tree import RenderedDirectory, RenderedFile, Tree

NAME = "Dovecot"
TEMPLATES = "dovecot/2.3"
# What comes with dovecot-imapd and dovecot-lmtpd, at Debian's place.
MAIL_PROGRAMS = ("/usr/lib/dovecot/imap", "/usr/lib/dovecot/lmtp", "/usr/lib/dovecot/quota-status")

enabled = takes_logins
missing = nothing_missing


def required_users(spec: Spec, target: Target) -> tuple[str, ...]:
    own = (target.dovecot_user, "dovenull", target.mail_owner)
    return (*own, target.vmail_user) if hosts_mail(spec) else own


def required_programs(spec: Spec) -> tuple[str, ...]:
    own = ("dovecot", "doveadm", "doveconf")
    return (*own, *MAIL_PROGRAMS, LOCAL_DELIVERY_AGENT) if hosts_mail(spec) else own


def render(spec: Spec, target: Target) -> Iterator[RenderedFile | RenderedDirectory]:
    view = DovecotConf.from_spec(spec, target)
    yield RenderedDirectory(target.dovecot_dir)
    # Postfix makes it when it first starts; Dovecot, which starts before, puts its sockets there.
    yield RenderedDirectory(target.auth_socket.parent, 0o700, target.mail_owner)
    yield RenderedFile(conf_file(target), render_template(f"{TEMPLATES}/dovecot.conf.j2", view))
    yield from render_users(spec, target)
    if view.mail:
        yield RenderedDirectory(target.mail_dir, 0o700, target.vmail_user, target.vmail_user)
        if any(record.quota for record in spec.domains.values()):
            yield RenderedDirectory(target.domain_quota_dir, 0o700, target.vmail_user, target.vmail_user)
        script = render_template(f"{TEMPLATES}/quota-warning.j2", view.mail)
        yield RenderedFile(warning_script(target), script, mode=0o755)


def build(host: Host, spec: Spec, target: Target, tree: Tree) -> list[Problem]:
    make_counters(host, spec, target)
    return []


def check(host: Host, spec: Spec, target: Target, staged: Staged) -> list[Problem]:
    conf = conf_file(target)
    done = host.run(["doveconf", "-n", "-c", host.path(staged.path(conf))])
    # doveconf exits with 0 after a warning: any word on stderr is a problem.
    return [Problem(Origin(str(conf)), "", line) for line in done.stderr.decode(errors="replace").splitlines()]


def action(before: Tree, after: Tree) -> Action:
    """Listeners, too, come and go with a reload (tried on 2.3.19); an own restart is never needed."""
    conf = conf_file(DEBIAN_12)
    if conf in after.files and after.files[conf] != before.files.get(conf):
        reason = "dovecot.conf changed" if conf in before.files else "first configuration"
        return Action(NAME, ReloadKind.RELOAD, reason)
    logins = (users_file(DEBIAN_12), smtp_users_file(DEBIAN_12))
    changed = any(after.files.get(path) != before.files.get(path) for path in logins)
    return Action(NAME, ReloadKind.NOTHING, "it reads changed logins by itself" if changed else "")
