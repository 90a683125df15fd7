"""Compares what is published with what the spec wants, for all domains and servers at once, within one deadline.

found = check_domains(spec, read_facts(...), Resolver.of_system(within=9))
found == ()        # nothing to say: everything is as the spec wants
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from mailctl.dns.answer import Outcome, Question
from mailctl.dns.check_dkim import check_dkim
from mailctl.dns.check_dmarc import check_dmarc
from mailctl.dns.check_mx import check_mx
from mailctl.dns.check_policies import check_mta_sts, check_parked, check_srv, check_tlsrpt
from mailctl.dns.check_server import check_server
from mailctl.dns.check_spf import check_spf
from mailctl.dns.facts import Facts
from mailctl.dns.judge import TROUBLES, Judge, Wanted
from mailctl.dns.record import Record
from mailctl.dns.records import DomainPlan, publication
from mailctl.dns.resolve import Resolver, in_parallel
from mailctl.dns.senders import sending_servers
from mailctl.dns.verdict import Check, Verdict
from mailctl.spec.model import Server, Spec

MOST_FINDINGS = 4  # shown in one verdict


def check_domains(spec: Spec, facts: Facts, resolver: Resolver) -> tuple[Verdict, ...]:
    """Every difference, domains in spec order, then servers; the resolver's deadline bounds it all."""
    published = publication(spec, facts).records
    wanted: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in published:
        wanted[record.name, record.rdtype].append(record)
    # Most questions are known before any answer: asked at once, they cost one round trip. The checks then find them.
    resolver.ask_all(_questions(spec, facts, published))
    subjects: list[str | Server] = [*spec.domains, *facts.servers]
    found = in_parallel(partial(_check_subject, spec, facts, resolver, dict(wanted)), subjects)
    return tuple(verdict for verdicts in found for verdict in verdicts)


def _check_subject(
    spec: Spec, facts: Facts, resolver: Resolver, wanted: Wanted, subject: str | Server
) -> list[Verdict]:
    name = subject if isinstance(subject, str) else subject.hostname
    judge = Judge(spec, facts, resolver, name, wanted)
    if isinstance(subject, Server):
        return _in_short(check_server(judge, subject))
    return _in_short(_check_domain(judge, DomainPlan(spec, facts, subject)))


def _check_domain(judge: Judge, plan: DomainPlan) -> Iterator[Verdict]:
    answer = judge.ask(judge.domain, "MX")
    if answer.outcome is Outcome.NXDOMAIN:
        found = f"{judge.domain} does not exist ({answer.outcome})"
        yield judge.verdict(Check.NXDOMAIN, judge.domain, found, *plan.records())
        return
    if plan.is_parked:
        yield from check_parked(judge)
        return
    yield from check_mx(judge, plan)
    if sending_servers(judge.facts.servers):
        yield from check_spf(judge, plan.spf())
        if dkim := judge.spec.domains[judge.domain].dkim:
            yield from check_dkim(judge, dkim.selector)
        yield from check_dmarc(judge, plan.policy_of_dmarc)
    yield from check_mta_sts(judge)
    if plan.exchangers:
        yield from check_tlsrpt(judge)
    yield from check_srv(judge, plan)


def _questions(spec: Spec, facts: Facts, published: Iterable[Record]) -> Iterator[Question]:
    for domain, record in spec.domains.items():
        yield Question(domain, "MX")
        for name in (domain, f"_dmarc.{domain}", f"_mta-sts.{domain}"):
            yield Question(name, "TXT")
        if record.dkim:
            yield Question(f"{record.dkim.selector}._domainkey.{domain}", "TXT")
    for server in facts.servers:
        for rdtype in ("A", "AAAA", "TXT"):
            yield Question(server.hostname, rdtype)
    yield from (Question(each.name, each.rdtype) for each in published if not each.name.startswith("*"))


def _in_short(verdicts: Iterator[Verdict]) -> list[Verdict]:
    """One verdict where many questions end in the same trouble; the same thing found twice is said once."""
    found: dict[tuple[str, ...], Verdict] = {}
    texts: dict[tuple[str, ...], list[str]] = {}
    for each in verdicts:
        verdict = replace(each, name=each.domain) if each.check in TROUBLES.values() else each
        found.setdefault(verdict.key, verdict)
        texts.setdefault(verdict.key, []).append(verdict.found)
    return [
        # Which question it was first is enough: the others went the same way.
        replace(verdict, found=_list(texts[key], 1 if verdict.check in TROUBLES.values() else MOST_FINDINGS))
        for key, verdict in found.items()
    ]


def _list(texts: list[str], most: int) -> str:
    unique = list(dict.fromkeys(texts))
    more = f"; and {len(unique) - most} more" if len(unique) > most else ""
    return "; ".join(unique[:most]) + more
