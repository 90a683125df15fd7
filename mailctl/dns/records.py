"""Everything the spec wants published. Pure: same spec and facts, same records; nobody is asked.

MX, SPF, DKIM, DMARC, MTA-STS, TLSRPT and SRV for each domain; A, AAAA, PTR, SPF and TLSA for each server.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailctl.dkim.states import Stage
from mailctl.dns.facts import Facts
from mailctl.dns.record import Record
from mailctl.dns.senders import MOST_LOOKUPS, NOBODY, count_lookups, sending_servers, spf_notes, spf_record
from mailctl.dns.suffix import same_organisation
from mailctl.spec.choices import DmarcPolicy, MtaSts, Role
from mailctl.spec.model import Server, Spec

MX_PREFERENCE = {Role.FULL: 10, Role.BACKUP_MX: 20}
NULL_MX = "0 ."  # RFC 7505
REVOKED_KEY = "v=DKIM1; p="  # RFC 6376 section 3.6.1
KEY_PURPOSES = {
    Stage.PENDING: "signs once everybody sees its key",
    Stage.SIGNING: "the key that signs",
    Stage.REPLACED: "its key for the mail still on its way",
    Stage.RETIRED: "revoked",
}
# How long senders keep the policy, in seconds: as short as RFC 8461 section 3.2 finds useful while it is tried out.
MAX_AGE = {MtaSts.TESTING: 86400, MtaSts.ENFORCE: 14 * 86400}


@dataclass(frozen=True, slots=True)
class Policy:
    """A file that a web server must serve; RFC 8461 section 3.2."""

    domain: str
    url: str
    content: str


@dataclass(frozen=True, slots=True)
class Note:
    """What cannot be said by a record."""

    domain: str
    text: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What one spec wants the world to see; by domain in spec order, servers last."""

    records: tuple[Record, ...]
    policies: tuple[Policy, ...] = ()
    notes: tuple[Note, ...] = ()

    def of_domain(self, domain: str) -> Publication:
        """What belongs to one domain or host name."""
        return Publication(
            tuple(each for each in self.records if each.domain == domain),
            tuple(each for each in self.policies if each.domain == domain),
            tuple(each for each in self.notes if each.domain in (domain, "")),
        )


def publication(spec: Spec, facts: Facts) -> Publication:
    """All records, the policies to serve, and what the administrator must know besides."""
    plans = [DomainPlan(spec, facts, domain) for domain in spec.domains]
    records = [record for plan in plans for record in plan.records()]
    for server in facts.servers:
        records += server_records(spec, facts, server)
    return Publication(
        _without_second_spf(records),
        tuple(policy for plan in plans if (policy := plan.policy())),
        tuple(Note("", text) for text in (*facts.notes, *_server_notes(facts)))
        + tuple(Note(plan.domain, text) for plan in plans for text in plan.notes()),
    )


def _without_second_spf(records: Iterable[Record]) -> tuple[Record, ...]:
    """A host name may be a hosted domain too, and both want an SPF record, of which there may be one: the first."""
    kept: list[Record] = []
    names: set[str] = set()
    for record in records:
        is_spf = record.value.startswith("v=spf1")
        if is_spf and record.name in names:
            continue
        if is_spf:
            names.add(record.name)
        kept.append(record)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """What one hosted domain needs."""

    spec: Spec
    facts: Facts
    domain: str

    @property
    def is_parked(self) -> bool:
        """Whether the domain sends and receives nothing: no mailbox, alias, catch-all or key.

        Only where the server that stores mail is in the spec: else the domain may be received elsewhere.
        """
        record = self.spec.domains[self.domain]
        is_used = record.mailboxes or record.aliases or record.catch_all or record.dkim
        return self.knows_primary and not is_used

    @property
    def home(self) -> Server | None:
        """The server its users log in at: relays and backup MX hosts pass mail on for domains without any."""
        by_role = {server.role: server for server in reversed(self.facts.servers)}
        return by_role.get(Role.FULL) or by_role.get(Role.SEND_ONLY)

    @property
    def exchangers(self) -> tuple[tuple[int, str], ...]:
        """Preference and name of the fleet's servers that take the domain's mail."""
        receivers = (server for server in self.facts.servers if server.role in MX_PREFERENCE)
        found = ((MX_PREFERENCE[server.role], server.hostname) for server in receivers)
        return tuple(sorted(found, key=lambda each: each[0]))

    @property
    def knows_primary(self) -> bool:
        """Whether the server that stores the domain's mail is in the spec."""
        return any(server.role is Role.FULL for server in self.facts.servers)

    @property
    def policy_of_dmarc(self) -> DmarcPolicy:
        return self.spec.domains[self.domain].dmarc or self.spec.dns.dmarc

    @property
    def reports_to(self) -> str:
        return self.spec.dns.reports or f"postmaster@{self.domain}"

    def records(self) -> Iterator[Record]:
        if self.is_parked:
            yield from self._parked_records()
            return
        for preference, hostname in self.exchangers:
            yield self._record(self.domain, "MX", f"{preference} {hostname}", f"mail for {self.domain} comes here")
        if sending_servers(self.facts.servers):
            yield self.spf()
            yield from self._dkim_records()
            yield from self._dmarc_records()
        if self.exchangers:
            yield from self._tls_records()
        if self.home and self.spec.domains[self.domain].mailboxes:
            yield from self._client_records(self.home)

    def spf(self) -> Record:
        text = spf_record(self.spec, self.facts.servers, self.domain)
        cost = f"{count_lookups(text)} of {MOST_LOOKUPS} look-ups before those of its includes"
        return self._record(self.domain, "TXT", text, f"SPF: who may send as {self.domain}; {cost}")

    def dmarc(self) -> Record:
        text = f"v=DMARC1; p={self.policy_of_dmarc}; rua=mailto:{self.reports_to}"
        return self._record(f"_dmarc.{self.domain}", "TXT", text, "DMARC: what to do with mail that is not from here")

    def policy(self) -> Policy | None:
        """The MTA-STS policy; the servers it names must present certificates the world trusts."""
        mode = self.spec.dns.mta_sts
        if mode is MtaSts.NONE or self.is_parked or not self.exchangers:
            return None
        names = [f"mx: {hostname}" for _, hostname in self.exchangers]
        lines = ["version: STSv1", f"mode: {mode}", *names, f"max_age: {MAX_AGE[mode]}"]
        url = f"https://mta-sts.{self.domain}/.well-known/mta-sts.txt"
        return Policy(self.domain, url, "".join(f"{line}\r\n" for line in lines))

    def notes(self) -> Iterator[str]:
        if self.is_parked:
            return
        if not self.knows_primary:
            yield "the server that stores its mail is not in this spec: its MX, and its senders in SPF, are not listed"
        yield from spf_notes(self.spec, self.domain)
        dkim = self.spec.domains[self.domain].dkim
        if dkim and not self.facts.keys_of(self.domain):
            yield "no DKIM key on this machine: an apply makes it, then its record is listed"
        if policy := self.policy():
            yield f"MTA-STS: serve the policy at {policy.url}, then publish the record; a new policy needs a new id"

    def _parked_records(self) -> Iterator[Record]:
        why = f"{self.domain} takes no mail"
        yield self._record(self.domain, "MX", NULL_MX, f"null MX: {why}")
        yield self._record(self.domain, "TXT", NOBODY, f"SPF: nobody sends as {self.domain}")
        yield self._record(f"*._domainkey.{self.domain}", "TXT", REVOKED_KEY, "DKIM: no key signs for it")
        yield self._record(f"_dmarc.{self.domain}", "TXT", "v=DMARC1; p=reject", "DMARC: refuse what claims to be")

    def _dkim_records(self) -> Iterator[Record]:
        for key in self.facts.keys_of(self.domain):
            yield self._record(key.name, "TXT", key.record, f"DKIM: selector {key.selector}, {KEY_PURPOSES[key.stage]}")

    def _dmarc_records(self) -> Iterator[Record]:
        yield self.dmarc()
        reporting = self.reports_to.rpartition("@")[2]
        # RFC 7489 section 7.1: who takes reports on domains of others must say so.
        if not same_organisation(reporting, self.domain):
            name = f"{self.domain}._report._dmarc.{reporting}"
            yield self._record(name, "TXT", "v=DMARC1", f"DMARC: {reporting} takes reports on {self.domain}")

    def _tls_records(self) -> Iterator[Record]:
        if policy := self.policy():
            # The id must change with the policy and hold letters and digits only; RFC 8461 section 3.1.
            digest = hashlib.sha256(policy.content.encode()).hexdigest()[:20]
            text = f"v=STSv1; id={digest};"
            yield self._record(f"_mta-sts.{self.domain}", "TXT", text, "MTA-STS: a policy is served at mta-sts")
        text = f"v=TLSRPTv1; rua=mailto:{self.reports_to}"
        yield self._record(f"_smtp._tls.{self.domain}", "TXT", text, "TLSRPT: who hears of failed TLS")

    def _client_records(self, home: Server) -> Iterator[Record]:
        """RFC 8314 prefers TLS from the first byte; RFC 6186 says with `.` that a service is not offered."""
        stores_mail = home.role is Role.FULL
        offered = {
            "_submissions": f"0 1 465 {home.hostname}",
            "_submission": f"10 1 587 {home.hostname}",
            "_imaps": f"0 1 993 {home.hostname}" if stores_mail else "",
            "_imap": "0 0 0 ." if stores_mail else "",
            "_pop3s": "0 0 0 ." if stores_mail else "",
            "_pop3": "0 0 0 ." if stores_mail else "",
        }
        for service, value in offered.items():
            if value:
                why = "not offered" if value.endswith(" .") else "where mail programs find it"
                yield self._record(f"{service}._tcp.{self.domain}", "SRV", value, f"{service[1:]}: {why}")

    def _record(self, name: str, rdtype: str, value: str, purpose: str) -> Record:
        return Record(self.domain, name, rdtype, value, purpose)


def server_records(spec: Spec, facts: Facts, server: Server) -> Iterator[Record]:
    """What one server needs: its name, its way back, who it is in HELO, its key."""
    name = server.hostname
    for address in server.addresses:
        parsed = ipaddress.ip_address(address)
        yield Record(name, name, "A" if parsed.version == 4 else "AAAA", address, f"address of {name}")
        yield Record(name, parsed.reverse_pointer, "PTR", name, "name of the address; its network's owner sets it")
    yield Record(name, name, "TXT", "v=spf1 a -all", "SPF: bounces carry no sender but this name (HELO)")
    if facts.tlsa and name == spec.server.hostname and server.role in MX_PREFERENCE:
        why = "DANE: the key on port 25; only where the zone is signed, and before a new key is used"
        yield Record(name, f"_25._tcp.{name}", "TLSA", facts.tlsa, why)


def _server_notes(facts: Facts) -> Iterator[str]:
    for server in facts.servers:
        if not server.addresses:
            yield f"{server.hostname}: write server.addresses for its A, AAAA and PTR records"
    yield "a CAA record, where you have one, must allow the authority that issues your certificate"
