"""Rules across records, each a small function over a typed spec. A rule about one record is a validator in model.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from mailctl.errors import Problem, Severity
from mailctl.spec.alias_rules import alias_loops
from mailctl.spec.choices import MailboxKind, MtaSts, Role
from mailctl.spec.derive import SpecPath, hosts_mail
from mailctl.spec.hints import dotted
from mailctl.spec.mail_rules import (
    alias_beside_mailbox,
    missing_catch_all_targets,
    missing_local_alias_targets,
    missing_postmasters,
    missing_report_target,
    missing_senders,
    missing_targets,
)
from mailctl.spec.model import Spec
from mailctl.spec.nodes import MOST_PROBLEMS
from mailctl.spec.route_rules import (
    diverted_domains,
    mixed_wrapper_mode,
    repeated_routes,
    route_order,
    unknown_relays,
    unresolved_presets,
    unused_relays,
)
from mailctl.spec.secrets import NO_PASSWORD
from mailctl.spec.values.amounts import format_size

Rule = Callable[[Spec], Iterator[Problem]]

_TAKES_LOGINS = (Role.FULL, Role.SEND_ONLY)
# What each role leaves aside of a domain. Mailboxes are logins for send-only and valid recipients for a backup MX;
# aliases say who may send as them, or are recipients too.
_WITHOUT_EFFECT = {
    Role.FULL: (),
    Role.SEND_ONLY: ("catch_all", "quota"),
    Role.RELAY: ("mailboxes", "aliases", "catch_all", "quota"),
    Role.BACKUP_MX: ("quota", "dkim"),
}


def check_rules(spec: Spec, is_complete: bool) -> Iterator[Problem]:
    """What is wrong between the records of `spec`.

    Where parts could not be read (`is_complete` is false), rules that miss something keep silent: it may be there.
    """
    for rule in (*CONFLICT_RULES, *(ABSENCE_RULES if is_complete else ())):
        yield from islice(rule(spec), MOST_PROBLEMS)


def missing_passwords(spec: Spec) -> Iterator[Problem]:
    if spec.server.role not in _TAKES_LOGINS:
        return
    for domain, record in spec.domains.items():
        for name, mailbox in record.mailboxes.items():
            if mailbox.password is NO_PASSWORD:
                path = ("domains", domain, "mailboxes", name)
                hint = "make one with `mailctl hash`, then write {hash: ...} or {file: ...}"
                yield Problem(spec.origin(*path), dotted(path), "missing key 'password'", hint)


def settings_without_effect(spec: Spec) -> Iterator[Problem]:
    role = spec.server.role
    for domain, record in spec.domains.items():
        for key in _WITHOUT_EFFECT[role]:
            if getattr(record, key):
                path = ("domains", domain, key)
                yield _warning(spec, path, f"has no effect for role {role}")
    if role is Role.SEND_ONLY and spec.server.trusted_networks:
        message = f"has no effect for role {role}, which takes mail of this machine and of logins only"
        yield _warning(spec, ("server", "trusted_networks"), message, "for mail of other machines use role relay")
    if role is Role.RELAY and not spec.server.trusted_networks:
        message = "a relay without trusted_networks passes on mail of this machine only"
        yield _warning(spec, ("server", "trusted_networks"), message)


def quotas_that_do_not_fit(spec: Spec) -> Iterator[Problem]:
    """Mailboxes that the largest message, or their own domain, does not let grow to their quota."""
    if not hosts_mail(spec):
        return
    yield from _smaller_than_a_message(spec, ("quota", "mailbox"), spec.quota.mailbox)
    for domain, record in spec.domains.items():
        path: SpecPath = ("domains", domain)
        yield from _smaller_than_a_message(spec, (*path, "quota"), record.quota)
        if 0 < record.quota < spec.quota.mailbox and any(
            each.kind is MailboxKind.MAILBOX and each.quota is None for each in record.mailboxes.values()
        ):
            size = format_size(spec.quota.mailbox)
            yield _warning(spec, (*path, "quota"), f"is less than one mailbox may store: quota.mailbox is {size}")
        for name, mailbox in record.mailboxes.items():
            below = (*path, "mailboxes", name, "quota")
            yield from _smaller_than_a_message(spec, below, mailbox.quota or 0)
            if 0 < record.quota < (mailbox.quota or 0):
                size = format_size(record.quota)
                yield _warning(spec, below, f"is more than all mailboxes of the domain may store: its quota is {size}")


def _smaller_than_a_message(spec: Spec, path: SpecPath, quota: int) -> Iterator[Problem]:
    if 0 < quota < spec.server.message_size:
        size = format_size(spec.server.message_size)
        yield _warning(spec, path, f"holds no message of the largest size, {size}", "see server.message_size")


def hostname_is_hosted(spec: Spec) -> Iterator[Problem]:
    if spec.server.role is Role.FULL and spec.server.hostname in spec.domains:
        message = "is the server's own name too: mail of system users comes to its mailboxes and aliases"
        hint = "local_aliases are not asked for it; add the aliases root and postmaster, or use another host name"
        yield _warning(spec, ("domains", spec.server.hostname), message, hint)


def policy_without_a_trusted_certificate(spec: Spec) -> Iterator[Problem]:
    if spec.dns.mta_sts is MtaSts.ENFORCE and spec.tls.self_signed:
        message = "senders will not deliver to a self-signed certificate"
        yield _warning(spec, ("dns", "mta_sts"), message, "use testing, or a certificate they trust")


def sni_of_own_name(spec: Spec) -> Iterator[Problem]:
    if spec.server.hostname in spec.tls.sni:
        path = ("tls", "sni", spec.server.hostname)
        message = "is the server's own name, which has tls.certificate"
        yield Problem(spec.origin(*path), dotted(path), message, "remove it here")


def _warning(spec: Spec, path: SpecPath, message: str, hint: str = "") -> Problem:
    return Problem(spec.origin(*path), dotted(path), message, hint, Severity.WARNING)


CONFLICT_RULES: tuple[Rule, ...] = (
    alias_beside_mailbox,
    alias_loops,
    route_order,
    repeated_routes,
    diverted_domains,
    mixed_wrapper_mode,
    unresolved_presets,
    settings_without_effect,
    quotas_that_do_not_fit,
    hostname_is_hosted,
    sni_of_own_name,
    policy_without_a_trusted_certificate,
)
ABSENCE_RULES: tuple[Rule, ...] = (
    missing_passwords,
    missing_targets,
    missing_catch_all_targets,
    missing_senders,
    missing_local_alias_targets,
    missing_postmasters,
    missing_report_target,
    unknown_relays,
    unused_relays,
)
