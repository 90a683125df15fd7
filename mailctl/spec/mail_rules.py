"""Rules about where mail ends: aliases, catch-alls, senders, postmasters. They hold where this server stores mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailctl.errors import Problem
from mailctl.spec.choices import MailboxKind
from mailctl.spec.derive import (
    REQUIRED_LOCALPARTS,
    SpecPath,
    hosts_mail,
    is_pattern,
    postmaster_of,
    resolve,
    whole_address_pattern,
)
from mailctl.spec.hints import did_you_mean, dotted
from mailctl.spec.model import DomainRecord, Spec


def alias_beside_mailbox(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        for name in record.aliases:
            if name not in record.mailboxes:
                continue
            path = ("domains", domain, "aliases", name)
            first = spec.origins.find_key(("domains", domain, "mailboxes", name))
            message = f"{name!r} is a mailbox too: the alias would take its mail away"
            hint = f"the mailbox is at {first}; give one of them another name"
            yield Problem(spec.origins.find_key(path), dotted(path), message, hint)


def missing_targets(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        for name, targets in record.aliases.items():
            for index, target in enumerate(targets):
                yield from _missing(spec, ("domains", domain, "aliases", name, index), resolve(target, domain))
        for name, mailbox in record.mailboxes.items():
            for index, target in enumerate(mailbox.deliver_to):
                path = ("domains", domain, "mailboxes", name, "deliver_to", index)
                yield from _missing(spec, path, resolve(target, domain))


def missing_catch_all_targets(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        if record.catch_all is None:
            continue
        target = resolve(record.catch_all, domain)
        path = ("domains", domain, "catch_all")
        if target.endswith(f"@{domain}"):
            # The catch-all itself does not make its own target exist.
            without = record.model_copy(update={"catch_all": None})
            if not _receives(spec, domain, without, target.rpartition("@")[0]):
                yield _no_such_address(spec, path, target)
        else:
            yield from _missing(spec, path, target)


def missing_senders(spec: Spec) -> Iterator[Problem]:
    """Postfix refuses a sender of a hosted domain that nobody reads (smtpd_reject_unlisted_sender)."""
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        for name, mailbox in record.mailboxes.items():
            for index, sender in enumerate(mailbox.send_as):
                path = ("domains", domain, "mailboxes", name, "send_as", index)
                address = resolve(sender, domain)
                if address.rpartition("@")[2] not in spec.domains:
                    message = f"{address!r} is not in a hosted domain"
                    hint = did_you_mean(address.rpartition("@")[2], spec.domains)
                    yield Problem(spec.origin(*path), dotted(path), message, hint)
                else:
                    yield from _missing(spec, path, address)


def missing_local_alias_targets(spec: Spec) -> Iterator[Problem]:
    if not hosts_mail(spec):
        return
    for name, target in spec.local_aliases.items():
        path = ("local_aliases", name)
        localpart, _, domain = target.rpartition("@")
        if domain == spec.server.hostname and domain not in spec.domains and localpart not in spec.local_aliases:
            message = f"no local alias is named {localpart!r}"
            hint = did_you_mean(localpart, spec.local_aliases) or "mail to system users needs an address that is read"
            yield Problem(spec.origin(*path), dotted(path), message, hint)
        else:
            yield from _missing(spec, path, target)


def missing_report_target(spec: Spec) -> Iterator[Problem]:
    if hosts_mail(spec) and spec.dns.reports:
        yield from _missing(spec, ("dns", "reports"), spec.dns.reports)


def missing_postmasters(spec: Spec) -> Iterator[Problem]:
    """Mail and bounces to an smtp-user go to the postmaster of its domain."""
    if not hosts_mail(spec):
        return
    for domain, record in spec.domains.items():
        users = (
            name
            for name, each in record.mailboxes.items()
            if each.kind is MailboxKind.SMTP_USER and not each.deliver_to
        )
        user = next(users, None)
        if user is not None and postmaster_of(spec, domain) is None:
            path = ("domains", domain, "mailboxes", user)
            message = "nobody receives its bounces: the domain has no postmaster and no mailbox"
            hint = "add deliver_to here, an alias postmaster, or local_aliases.postmaster"
            yield Problem(spec.origin(*path), dotted(path), message, hint)


def _missing(spec: Spec, path: SpecPath, address: str) -> Iterator[Problem]:
    localpart, _, domain = address.rpartition("@")
    record = spec.domains.get(domain)
    if record is not None and not _receives(spec, domain, record, localpart):
        yield _no_such_address(spec, path, address)


def _receives(spec: Spec, domain: str, record: DomainRecord, localpart: str) -> bool:
    names = (localpart, localpart.partition("+")[0])
    if any(name in record.mailboxes or name in record.aliases for name in names) or record.catch_all is not None:
        return True
    if localpart in REQUIRED_LOCALPARTS and postmaster_of(spec, domain) is not None:
        return True
    address = f"{localpart}@{domain}"
    return any(re.fullmatch(whole_address_pattern(key, domain), address) for key in record.aliases if is_pattern(key))


def _no_such_address(spec: Spec, path: SpecPath, address: str) -> Problem:
    localpart, _, domain = address.rpartition("@")
    record = spec.domains[domain]
    hint = did_you_mean(localpart, (*record.mailboxes, *record.aliases))
    if hint:
        name = hint.split("'")[1]
        below = "mailboxes" if name in record.mailboxes else "aliases"
        origin = spec.origins.find_key(("domains", domain, below, name))
        hint = f"did you mean '{name}@{domain}' ({origin})?"
    return Problem(spec.origin(*path), dotted(path), f"no mailbox or alias is named {address!r}", hint)
