"""What a spec means, worked out once for every component: logins, virtual aliases, who may send as what.

Safe by derivation: a catch-all or a regular expression never swallows a mailbox (identity rows),
postmaster and abuse exist in every domain (RFC 2142), each login sends only as what it owns.
Everything here expects a spec that rules.py found sound, and is pure.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from mailctl.spec.choices import MailboxKind, Role
from mailctl.spec.model import DomainRecord, Mailbox, Spec
from mailctl.spec.values.secret import Secret

REQUIRED_LOCALPARTS = ("postmaster", "abuse")

SpecPath = tuple[str | int, ...]


class Login(NamedTuple):
    """One user of Dovecot's passwd-file; quotas in bytes, 0 means no limit."""

    address: str
    password_hash: Secret
    has_mailbox: bool
    quota: int
    domain_quota: int
    path: SpecPath


class AliasRow(NamedTuple):
    """One row of virtual_alias_maps: what mail to `address` becomes. `path` is the spec value it comes from."""

    address: str
    targets: tuple[str, ...]
    path: SpecPath


class PatternRow(NamedTuple):
    """A regular expression over whole addresses of one domain, without slashes, and its targets."""

    pattern: str
    targets: tuple[str, ...]
    path: SpecPath


def resolve(target: str, domain: str) -> str:
    """`target` as an address: a bare localpart means `domain`."""
    return target if "@" in target else f"{target}@{domain}"


def is_pattern(alias_key: str) -> bool:
    return alias_key.startswith("/")


def logins(spec: Spec) -> Iterator[Login]:
    """Every mailbox and smtp-user, in spec order."""
    for domain, record in spec.domains.items():
        for name, mailbox in record.mailboxes.items():
            yield Login(
                address=f"{name}@{domain}",
                password_hash=mailbox.password,
                has_mailbox=mailbox.kind is MailboxKind.MAILBOX,
                quota=spec.quota.mailbox if mailbox.quota is None else mailbox.quota,
                domain_quota=record.quota,
                path=("domains", domain, "mailboxes", name),
            )


def virtual_mailboxes(spec: Spec) -> Iterator[str]:
    """Addresses with a Maildir of their own."""
    return (address for address, each in _mailboxes(spec) if each.kind is MailboxKind.MAILBOX)


def smtp_users(spec: Spec) -> Iterator[str]:
    """Addresses that may send and have no mailbox."""
    return (address for address, each in _mailboxes(spec) if each.kind is MailboxKind.SMTP_USER)


def null_senders(spec: Spec) -> Iterator[str]:
    """Logins that may send with the null sender."""
    return (address for address, each in _mailboxes(spec) if each.null_sender)


def hosts_mail(spec: Spec) -> bool:
    """Whether this server stores mail of its domains, so that aliases and mailboxes are in force."""
    return spec.server.role is Role.FULL


def takes_logins(spec: Spec) -> bool:
    """Whether anybody logs in here, to send or to read: a relay and a backup MX know no users of their own."""
    return spec.server.role in (Role.FULL, Role.SEND_ONLY) and any(True for _ in logins(spec))


def signs(spec: Spec) -> bool:
    """Whether mail passes the DKIM signer; what a backup MX passes on was signed by its sender."""
    return spec.server.role is not Role.BACKUP_MX and any(domain.dkim for domain in spec.domains.values())


def postmaster_of(spec: Spec, domain: str) -> str | None:
    """Who answers for `domain`: its own postmaster, `local_aliases.postmaster`, its first mailbox, or nobody."""
    record = spec.domains[domain]
    own = record.mailboxes.get("postmaster")
    if (own and own.kind is MailboxKind.MAILBOX) or "postmaster" in record.aliases:
        return f"postmaster@{domain}"
    if "postmaster" in spec.local_aliases:
        return spec.local_aliases["postmaster"]
    mailboxes = (name for name, each in record.mailboxes.items() if each.kind is MailboxKind.MAILBOX)
    first = next(mailboxes, None)
    return f"{first}@{domain}" if first else None


def alias_rows(spec: Spec) -> Iterator[AliasRow]:
    """Rows for exact addresses: aliases, smtp-users, postmaster and abuse, identity rows, catch-alls.

    A catch-all's address is `@domain`, as virtual(5) writes it.
    """
    for domain, record in spec.domains.items():
        path: SpecPath = ("domains", domain)
        for key, targets in record.aliases.items():
            if not is_pattern(key):
                yield AliasRow(f"{key}@{domain}", _resolve_all(targets, domain), (*path, "aliases", key))
        yield from login_rows(spec, domain)
        yield from _required_rows(spec, domain)
        if record.catch_all is not None:
            yield AliasRow(f"@{domain}", (resolve(record.catch_all, domain),), (*path, "catch_all"))


def login_rows(spec: Spec, domain: str) -> Iterator[AliasRow]:
    """The rows of `alias_rows` that belong to logins: where mail of smtp-users goes, identity rows of mailboxes."""
    record = spec.domains[domain]
    needs_identity_rows = _needs_identity_rows(record)
    for name, mailbox in record.mailboxes.items():
        address = f"{name}@{domain}"
        path: SpecPath = ("domains", domain, "mailboxes", name)
        if mailbox.kind is MailboxKind.SMTP_USER:
            yield AliasRow(address, _deliver_to(spec, domain, mailbox), path)
        elif needs_identity_rows:
            yield AliasRow(address, (address,), path)


def pattern_rows(spec: Spec) -> Iterator[PatternRow]:
    """Rows for regular-expression aliases, in spec order: the first match wins."""
    for domain, record in spec.domains.items():
        for key, targets in record.aliases.items():
            if is_pattern(key):
                yield PatternRow(
                    whole_address_pattern(key, domain),
                    _resolve_all(targets, domain),
                    ("domains", domain, "aliases", key),
                )


def whole_address_pattern(alias_key: str, domain: str) -> str:
    """`/^ticket-[0-9]+$/` over localparts as a pattern over addresses: `^(?:ticket-[0-9]+)@example\\.org$`."""
    inner = alias_key.removeprefix("/^").removesuffix("$/")
    return rf"^(?:{inner})@{_escape(domain)}$"


def sender_owners(spec: Spec) -> Mapping[str, tuple[str, ...]]:
    """The logins that may send as an address: its own, those an alias reaches, those with it in `send_as`."""
    rows = {row.address: row for row in alias_rows(spec) if not row.address.startswith("@")}
    owners = {address: (address,) for address, _ in _mailboxes(spec)}
    further = {
        address: reachable_logins(row.targets, rows, owners) for address, row in rows.items() if address not in owners
    }
    for address, mailbox in _mailboxes(spec):
        for sender in mailbox.send_as and _resolve_all(mailbox.send_as, address.rpartition("@")[2]):
            further.setdefault(sender, set()).add(address)
    shared = {address: tuple(sorted({*owners.get(address, ()), *found})) for address, found in further.items() if found}
    return dict(sorted((owners | shared).items()))


def pattern_sender_owners(spec: Spec) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The logins that may send as the addresses a regular expression matches."""
    patterns = tuple(pattern_rows(spec))
    if not patterns:
        return
    rows = {row.address: row for row in alias_rows(spec) if not row.address.startswith("@")}
    users = {address for address, _ in _mailboxes(spec)}
    for row in patterns:
        found = reachable_logins(row.targets, rows, users)
        if found:
            yield row.pattern, tuple(sorted(found))


def reachable_logins(targets: tuple[str, ...], rows: Mapping[str, AliasRow], users: Container[str]) -> set[str]:
    """Logins that mail to `targets` ends at, aliases followed."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(targets)
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        if address in users:
            found.add(address)
        elif address in rows:
            waiting.extend(rows[address].targets)
    return found


def _mailboxes(spec: Spec) -> Iterator[tuple[str, Mailbox]]:
    return (
        (f"{name}@{domain}", mailbox)
        for domain, record in spec.domains.items()
        for name, mailbox in record.mailboxes.items()
    )


def _needs_identity_rows(record: DomainRecord) -> bool:
    return record.catch_all is not None or any(map(is_pattern, record.aliases))


def _required_rows(spec: Spec, domain: str) -> Iterator[AliasRow]:
    record = spec.domains[domain]
    postmaster = postmaster_of(spec, domain)
    for localpart in REQUIRED_LOCALPARTS:
        address = f"{localpart}@{domain}"
        if postmaster and localpart not in record.mailboxes and localpart not in record.aliases:
            yield AliasRow(address, (postmaster,), ("domains", domain))


def _deliver_to(spec: Spec, domain: str, mailbox: Mailbox) -> tuple[str, ...]:
    if mailbox.deliver_to:
        return _resolve_all(mailbox.deliver_to, domain)
    postmaster = postmaster_of(spec, domain)
    # Rules refuse a domain with an smtp-user and nobody to answer for it.
    return (postmaster,) if postmaster else ()


def _resolve_all(targets: tuple[str, ...], domain: str) -> tuple[str, ...]:
    # A list first: twice as fast as a generator, and a spec may hold hundreds of thousands of aliases.
    return tuple(dict.fromkeys([resolve(target, domain) for target in targets]))


def _escape(domain: str) -> str:
    return domain.replace(".", r"\.")
