"""Whether this machine can take an apply at all; asked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailctl.components import registry
from mailctl.errors import MailctlError, NeedsRootError, Origin, Problem, Severity, UnfitError
from mailctl.host import Host
from mailctl.plan.model import Plan
from mailctl.spec.model import Spec
from mailctl.target import Target

# Debian's packages of the programs components ask for.
PACKAGES = {
    "postfix": "postfix",
    "postconf": "postfix",
    "postmap": "postfix",
    "postalias": "postfix",
    "dovecot": "dovecot-core dovecot-imapd dovecot-lmtpd",
    "doveconf": "dovecot-core dovecot-imapd dovecot-lmtpd",
    "doveadm": "dovecot-core dovecot-imapd dovecot-lmtpd",
    "dovecot-lda": "dovecot-core",
    "quota-status": "dovecot-core",
    "imap": "dovecot-imapd",
    "lmtp": "dovecot-lmtpd",
    "opendkim": "opendkim opendkim-tools",
    "openssl": "openssl",
    "ss": "iproute2",
}
OWN_PROGRAMS = ("ss",)
SPARE_BYTES = 16 * 2**20
# Each new byte is written at most this often: staged, beside its place, in the history, as an indexed table.
COPIES = 4
# Fewer addresses than this come and go in ordinary work.
SMALLEST_LOSS = 10
LARGEST_LOSS = 0.3


def require_fit(host: Host, target: Target, plan: Plan, spec: Spec | None) -> None:
    """Return where `plan` can be applied.

    Raises:
        NeedsRootError: not root, on the live system.
        UnfitError: with everything the machine lacks.
        MailctlError: a disk is too full.
    """
    if host.is_live() and not host.is_root():
        raise NeedsRootError("apply changes the live system and needs root", hint="run it with sudo")
    problems = [each for each in plan.problems if each.severity is Severity.ERROR]
    if spec is not None:
        problems += _missing_programs(host, spec)
        problems += _missing_users(host, target, spec)
    if host.is_live():
        problems += registry.missing(host, plan.tree)
    full = list(_full_disks(host, target, plan))
    if problems:
        raise UnfitError("this machine is not fit for the spec; nothing was changed", problems=[*problems, *full])
    if full:
        raise MailctlError("there is not enough room; nothing was changed", problems=full)


def refuse_loss(plan: Plan, allow: bool) -> None:
    """Raises MailctlError where more than 30 % of the addresses would go and nobody said that they may."""
    before, removed = plan.addresses.before, plan.addresses.removed
    if not allow and before >= SMALLEST_LOSS and removed > before * LARGEST_LOSS:
        raise MailctlError(
            f"{removed} of {before} addresses would be removed; nothing was changed",
            hint="check the spec; if that is what you want, add --allow-destroy",
        )


def _missing_programs(host: Host, spec: Spec) -> Iterator[Problem]:
    if not host.is_live():
        return
    wanted = (each for component in registry.enabled_components(spec) for each in component.required_programs(spec))
    for program in _unique((*OWN_PROGRAMS, *wanted)):
        if host.find_program(program) is None:
            package = PACKAGES.get(program.rpartition("/")[2], "")
            yield _unfit(f"the program {program!r} is not installed", f"apt-get install {package}" if package else "")


def _missing_users(host: Host, target: Target, spec: Spec) -> Iterator[Problem]:
    if not host.sets_owners():
        return
    wanted = (
        each for component in registry.enabled_components(spec) for each in component.required_users(spec, target)
    )
    for user in _unique(wanted):
        if not host.has_user(user):
            hint = f"install the service it belongs to, or: adduser --system --group --no-create-home {user}"
            if user == target.vmail_user:
                hint = f"adduser --system --group --home {target.mail_dir} --no-create-home {user}"
            yield _unfit(f"there is no user {user!r}", hint)


def _full_disks(host: Host, target: Target, plan: Plan) -> Iterator[Problem]:
    size = sum(len(change.after.content) for change in plan.changes if change.after)
    needed = size * COPIES + SPARE_BYTES
    for folder in (target.state_dir, target.postfix_dir):
        free = host.free_bytes(folder)
        if free < needed:
            yield _unfit(
                f"{free >> 20} MB are free below {host.path(folder)}; this apply may need {needed >> 20} MB",
                "make room there",
            )


def _unique(names: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(names))


def _unfit(message: str, hint: str) -> Problem:
    return Problem(Origin("this machine"), "", message, hint)
