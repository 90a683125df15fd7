"""The lookup tables of a spec, and the immutable directory they live in.

The directory is named by the digest of its tables: equal tables are the same directory, and a switch of
generations is one rename of main.cf.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from mailctl.components.postfix import routing
from mailctl.components.postfix.table import (
    Rows,
    Table,
    TableKind,
    address_rows,
    join_addresses,
    pattern_table_rows,
    sorted_rows,
)
from mailctl.spec.choices import Role
from mailctl.spec.derive import (
    alias_rows,
    hosts_mail,
    is_pattern,
    null_senders,
    pattern_rows,
    pattern_sender_owners,
    sender_owners,
    takes_logins,
    virtual_mailboxes,
)
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedDirectory, RenderedFile

DIGEST_LENGTH = 12  # hexadecimal digits
NOBODY = "nobody"  # owns addresses nobody may send as; every login holds an @
# RFC 5321 section 4.5.1, RFC 2142 section 4.
STANDARD_ALIASES = {"abuse": "postmaster", "mailer-daemon": "postmaster", "postmaster": "root"}


def all_tables(spec: Spec) -> tuple[Table, ...]:
    """Every table this spec needs, by name."""
    tables = [*_routing_tables(spec), *_local_tables(spec), *_sni_tables(spec)]
    if hosts_mail(spec):
        tables += _hosting_tables(spec)
    if takes_logins(spec):
        tables += _submission_tables(spec)
    if spec.server.role is Role.BACKUP_MX:
        tables += _relay_recipient_tables(spec)
    return tuple(sorted(tables, key=lambda table: table.name))


def table_directory(tables: Iterable[Table], target: Target) -> PurePosixPath:
    # Tables of another type are other tables: they have to be built.
    digest = hashlib.sha256(target.table_type.encode())
    for table in tables:
        digest.update(f"{table.kind} {table.name}\n".encode())
        digest.update(_fingerprint(table))
    return target.generations_dir / digest.hexdigest()[:DIGEST_LENGTH]


def render_tables(tables: Iterable[Table], directory: PurePosixPath) -> Iterator[RenderedFile | RenderedDirectory]:
    """The sources of the tables; building them is `build`."""
    yield RenderedDirectory(directory)
    for table in tables:
        yield RenderedFile(directory / table.name, table.source, table.mode, is_secret=table.is_private, is_table=True)


def _fingerprint(table: Table) -> bytes:
    if not table.is_private:
        return hashlib.sha256(table.source).digest()
    # Everybody may read the directory's name in main.cf, and must not be able to try passwords against it.
    return hashlib.scrypt(table.source, salt=table.name.encode(), n=2**12, r=8, p=1)  # 10 ms


def _hosting_tables(spec: Spec) -> Iterator[Table]:
    addresses = address_rows((row.address, row.targets) for row in alias_rows(spec))
    if addresses:
        yield Table("virtual_alias", "Aliases, forwards, catch-alls; virtual(5).", addresses)
    patterns = pattern_table_rows((row.pattern, row.targets) for row in pattern_rows(spec))
    if patterns:
        yield Table("virtual_alias_pcre", "Aliases by pattern; the first match wins.", patterns, TableKind.PCRE)
    # Never left out: without a table Postfix would take mail for every localpart of the hosted domains.
    mailboxes = sorted_rows((address, "OK") for address in virtual_mailboxes(spec))
    yield Table("virtual_mailbox", "Addresses with a mailbox; Dovecot knows where it lies.", mailboxes)


def _submission_tables(spec: Spec) -> Iterator[Table]:
    yield Table("sender_login", "Envelope senders and the logins that own them.", _sender_login_rows(spec))
    patterns = pattern_table_rows(pattern_sender_owners(spec))
    if patterns:
        yield Table("sender_login_pcre", "Envelope senders by pattern.", patterns, TableKind.PCRE)
    unbound = sorted_rows((address, "OK") for address in null_senders(spec))
    if unbound:
        yield Table("null_sender", "Logins that may send with the null sender.", unbound)
    yield Table(
        "submission_headers",
        "Leaves the client's name and address out of the Received line made for submitted mail.",
        _hidden_client_rows(spec.server.hostname),
        TableKind.PCRE,
    )


def _sender_login_rows(spec: Spec) -> Rows:
    rows = dict(address_rows(sender_owners(spec).items()))
    with_patterns = {domain for domain, record in spec.domains.items() if any(map(is_pattern, record.aliases))}
    for row in alias_rows(spec) if with_patterns else ():
        localpart, _, domain = row.address.rpartition("@")
        # A pattern may match an alias that leads outside; its owner gains no right to send as that alias.
        if localpart and domain in with_patterns:
            rows.setdefault(row.address, NOBODY)
    return sorted_rows(rows)


def _hidden_client_rows(hostname: str) -> Rows:
    # Postfix writes: Received: from NAME (HOST [ADDRESS]) (using TLS ...) by HOSTNAME (Postfix) with ESMTPSA id ...
    ours = rf"/^Received: from .*?\sby {re.escape(hostname)} \(Postfix\) with (.*)$/"
    return ((ours, f"REPLACE Received: by {hostname} (Postfix) with $1"),)


def _relay_recipient_tables(spec: Spec) -> Iterator[Table]:
    addresses = dict.fromkeys(virtual_mailboxes(spec), "OK") | {row.address: "OK" for row in alias_rows(spec)}
    # Never left out: without a table Postfix would take mail for every localpart, and bounce it later.
    yield Table("relay_recipients", "Valid recipients of the primary server.", sorted_rows(addresses))
    patterns = pattern_table_rows((row.pattern, ("OK",)) for row in pattern_rows(spec))
    if patterns:
        yield Table("relay_recipients_pcre", "Valid recipients by pattern.", patterns, TableKind.PCRE)


def _routing_tables(spec: Spec) -> Iterator[Table]:
    contents: tuple[tuple[str, str, Mapping[str, str], bool], ...] = (
        ("transport", "Routes by recipient; transport(5).", routing.recipient_routes(spec), False),
        ("sender_transport", "Routes by envelope sender.", routing.sender_routes(spec), False),
        ("relay_passwords", "Logins at relays, by next hop.", routing.credentials(spec), True),
        ("tls_policy", "TLS levels by next hop or destination.", routing.tls_policies(spec), False),
    )
    for name, about, rows, is_private in contents:
        if rows:
            yield Table(name, about, sorted_rows(rows), is_private=is_private)


def _local_tables(spec: Spec) -> Iterator[Table]:
    rows = {key: join_addresses([value]) for key, value in (_standard_aliases(spec) | spec.local_aliases).items()}
    yield Table("aliases", "Where mail to system users goes; aliases(5).", sorted_rows(rows), TableKind.ALIASES)


def _standard_aliases(spec: Spec) -> dict[str, str]:
    person = system_mail_reader(spec)
    return STANDARD_ALIASES | {"root": person} if person else STANDARD_ALIASES


def system_mail_reader(spec: Spec) -> str | None:
    """Who reads mail to root where `local_aliases.root` says nothing; None: it stays in root's own mail file."""
    return spec.local_aliases.get("postmaster") or next(virtual_mailboxes(spec), None)


def _sni_tables(spec: Spec) -> Iterator[Table]:
    # Read as text, not indexed: the daemons load the files it names when they start, so a reload is enough to
    # present a renewed certificate, and no private key is copied into a table.
    if spec.tls.sni:
        rows = {name: f"{pair.key}, {pair.certificate}" for name, pair in spec.tls.sni.items()}
        yield Table("sni", "Certificates of further names of this server.", sorted_rows(rows), TableKind.TEXT)
