"""Whom the dialogues name: addresses and logins chosen from the spec, so that each check has its people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mailctl.spec.choices import Role
from mailctl.spec.derive import alias_rows, hosts_mail, logins, null_senders, sender_owners, takes_logins
from mailctl.spec.model import Spec

FULL_WIDTH_OFFSET = 0xFEE0
NOBODY = "nobody-has-this-address"


@dataclass(frozen=True, slots=True)
class Subject:
    """What `{name}` in a dialogue stands for; a check that names what is missing here is skipped.

    `passwords` are those of the logins a probe may use, by address.
    """

    names: Mapping[str, str]
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def login(self) -> str:
        """The login most checks use; empty where no password is known."""
        login = self.names.get("owner", "")
        return login if login in self.passwords else ""


# Why a name is missing, in the words of somebody who reads the report.
MISSING = {
    "owner_tag": "the spec has no login",
    "neighbour_tag": "no domain has a second login",
    "neighbour_upper": "no domain has a second login",
    "neighbour_local": "no domain has a second login",
    "neighbour_domain": "no domain has a second login",
    "owner": "the spec has no login",
    "owner_alias": "no alias or send_as belongs to a login",
    "shared_alias": "no alias is shared by two logins",
    "neighbour": "no domain has a second login",
    "neighbour_alias": "no alias belongs to another login alone",
    "tenant": "no second domain has a login",
    "mailbox": "the spec has no mailbox",
    "domain": "the spec has no domain that refuses unknown recipients",
    "nobody": "the spec has no domain that refuses unknown recipients",
    "catch_all": "no domain has a catch-all",
    "null_sender": "no login may send with the null sender",
    "foreign_alias": "no alias leads outside only",
    "local": "the server name is a hosted domain",
}


def choose_subject(
    spec: Spec | None, passwords: Mapping[str, str], world: Mapping[str, str], login: str = ""
) -> Subject:
    """People for the dialogues.

    `world` names the strangers, and without a spec the host; `login` is the owner where the caller knows its password.
    """
    names = dict(world)
    if spec:
        names["hostname"] = spec.server.hostname
        names.update(_recipients(spec))
    if spec and takes_logins(spec):
        names.update(_senders(spec, login))
    known = {name: address for name, address in names.items() if address}
    return Subject(dict(_spellings(known)) | known, passwords)


def _spellings(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Other ways to write the same people."""
    yield "hostname_full_width", "".join(_full_width(character) for character in names["hostname"])
    for name in ("victim", "owner", "neighbour"):
        if address := names.get(name):
            localpart, _, domain = address.rpartition("@")
            yield f"{name}_local", localpart
            yield f"{name}_domain", domain
            yield f"{name}_upper", address.upper()
            yield f"{name}_tag", f"{localpart}+probe@{domain}"


def _full_width(character: str) -> str:
    """The full-width form of an ASCII letter or digit, which some mappings turn back into it; Unicode block FF00."""
    return chr(ord(character) + FULL_WIDTH_OFFSET) if character.isalnum() else character


def probe_logins(spec: Spec) -> tuple[str, ...]:
    """The logins whose passwords the checks need: the owner, one marked for the null sender, one of each domain."""
    if not takes_logins(spec):
        return ()
    people = dict(_senders(spec, ""))
    unbound = set(null_senders(spec))
    by_domain = {_domain(each.address): each.address for each in logins(spec) if each.address not in unbound}
    owners = {people["owner"], people.get("null_sender", "")} - {""}
    return tuple(sorted(owners | {by_domain[domain] for domain in by_domain if domain != _domain(people["owner"])}))


def _recipients(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.server.hostname not in spec.domains:
        yield "local", f"postmaster@{spec.server.hostname}"
    if not hosts_mail(spec):
        yield from _relayed(spec)
        return
    mailboxes = [each.address for each in logins(spec) if each.has_mailbox]
    catch_alls = {domain for domain, record in spec.domains.items() if record.catch_all is not None}
    strict = [address for address in mailboxes if _domain(address) not in catch_alls]
    yield "mailbox", next(iter([*strict, *mailboxes]), "")
    domain = next((name for name in spec.domains if name not in catch_alls), "")
    if domain:
        yield "domain", domain
        yield "nobody", f"{NOBODY}@{domain}"
    yield "catch_all", next((f"{NOBODY}@{name}" for name in spec.domains if name in catch_alls), "")


def _relayed(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.server.role is Role.BACKUP_MX and spec.domains:
        domain = next(iter(spec.domains))
        yield "domain", domain
        yield "nobody", f"{NOBODY}@{domain}"
        yield "mailbox", next((each.address for each in logins(spec)), "")


def _senders(spec: Spec, login: str) -> Iterator[tuple[str, str]]:
    users = [each.address for each in logins(spec)]
    known = set(users)
    unbound = set(null_senders(spec))
    ordinary = [address for address in users if address not in unbound] or users
    owners = sender_owners(spec)
    owner = login or _best_owner(ordinary, owners)
    neighbour = next((each for each in ordinary if each != owner and _domain(each) == _domain(owner)), "")
    yield "owner", owner
    yield "neighbour", neighbour
    yield "tenant", next((each for each in users if _domain(each) != _domain(owner)), "")
    yield "owner_alias", _first(each for each, own in owners.items() if own == (owner,) and each not in known)
    yield "shared_alias", _first(each for each, own in owners.items() if owner in own and len(own) > 1)
    yield "neighbour_alias", _first(each for each, own in owners.items() if owner not in own and each not in known)
    yield "null_sender", next(iter(null_senders(spec)), "")
    yield (
        "foreign_alias",
        _first(
            row.address for row in alias_rows(spec) if row.address not in owners and not row.address.startswith("@")
        ),
    )


def _best_owner(users: list[str], owners: Mapping[str, tuple[str, ...]]) -> str:
    """The login that shares an alias with others and owns another alone, or as much of that as there is."""
    shared = {user for own in owners.values() if len(own) > 1 for user in own}
    aliased = {own[0] for address, own in owners.items() if len(own) == 1 and address != own[0]}
    return max(users, key=lambda user: 2 * (user in shared) + (user in aliased))


def _first(addresses: Iterable[str]) -> str:
    return next(iter(addresses), "")


def _domain(address: str) -> str:
    return address.rpartition("@")[2]
