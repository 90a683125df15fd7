"""MX: does mail for the domain come to the servers the spec has for it; RFC 5321 section 5.1, RFC 7505."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.judge import Judge, absence
from mailctl.dns.records import NULL_MX, DomainPlan
from mailctl.dns.verdict import Check, Verdict
from mailctl.spec.choices import Role

WHERE = "as A or AAAA, and name it in server.addresses of the spec"


def check_mx(judge: Judge, plan: DomainPlan) -> Iterator[Verdict]:
    """Differences between the published MX hosts and the fleet's, and hosts no sender could reach."""
    answer = judge.ask(judge.domain, "MX")
    if answer.outcome is not Outcome.FOUND:
        if plan.exchangers and answer.outcome.is_absent:
            yield judge.verdict(Check.MX_MISSING, judge.domain, absence(answer), *judge.records(judge.domain, "MX"))
        yield from judge.trouble(answer)
        return
    if NULL_MX in answer.values:
        if plan.exchangers:
            wanted = judge.records(judge.domain, "MX")
            yield judge.verdict(Check.MX_NULL, judge.domain, "a null MX is published", *wanted, answer=answer)
        return
    found = dict(map(_preference_and_host, answer.values))
    if plan.exchangers:
        yield from _compare(judge, plan, answer, found)
    else:
        yield from _loops(judge, found)
    for host in found:
        yield from _check_host(judge, host)


def _check_host(judge: Judge, host: str) -> Iterator[Verdict]:
    """Whether senders can reach a host by its name. What to publish: its addresses where it is ours, else our MX."""
    is_ours = any(server.hostname == host for server in judge.facts.servers)
    paste = judge.records(host, "A", "AAAA") or ([] if is_ours else judge.records(judge.domain, "MX"))
    if _is_address(host):
        yield judge.verdict(Check.MX_ADDRESS, host, f"the MX {host} is an address", *paste)
        return
    answers = [judge.ask(host, rdtype) for rdtype in ("A", "AAAA")]
    yield from judge.trouble(*answers)
    if answers[0].is_alias:
        yield judge.verdict(Check.MX_CNAME, host, f"the MX {host} is an alias of {answers[0].canonical}", *paste)
    if all(answer.outcome.is_absent for answer in answers):
        found = f"the MX {host} has no address ({answers[0].outcome})"
        yield judge.verdict(Check.MX_UNRESOLVED, host, found, *paste)
    for address in (value for answer in answers for value in answer.values):
        if not ipaddress.ip_address(address).is_global:
            # What the spec itself names is no better for being published again.
            better = [record for record in paste if record.value != address]
            verdict = judge.verdict(Check.MX_PRIVATE, host, f"the MX {host} has the address {address}", *better)
            yield verdict if better else replace(verdict, hint=f"publish the public address of {host} {WHERE}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _compare(judge: Judge, plan: DomainPlan, answer: Answer, found: dict[str, int]) -> Iterator[Verdict]:
    wanted = {host: preference for preference, host in plan.exchangers}
    records = judge.records(judge.domain, "MX")
    for host in wanted.keys() - found.keys():
        text = f"the MX records of {judge.domain} do not name {host}: {', '.join(answer.values)}"
        yield judge.verdict(Check.MX_LACKS, host, text, *records, answer=answer)
    if plan.knows_primary:
        for host in found.keys() - wanted.keys():
            text = f"the MX records of {judge.domain} name {host}"
            yield judge.verdict(Check.MX_FOREIGN, host, text, *records, answer=answer)
    backups = [found[each.hostname] for each in judge.facts.servers if _is(each.role, each.hostname, found, full=False)]
    primaries = [
        found[each.hostname] for each in judge.facts.servers if _is(each.role, each.hostname, found, full=True)
    ]
    if backups and primaries and min(backups) <= max(primaries):
        text = f"a backup MX comes before or beside a primary: {', '.join(answer.values)}"
        yield judge.verdict(Check.MX_ORDER, judge.domain, text, *records, answer=answer)


def _is(role: Role, hostname: str, found: dict[str, int], *, full: bool) -> bool:
    return hostname in found and role is (Role.FULL if full else Role.BACKUP_MX)


def _loops(judge: Judge, found: dict[str, int]) -> Iterator[Verdict]:
    for server in judge.facts.servers:
        if server.hostname in found:
            text = f"{server.hostname}, whose role is {server.role}, is an MX of {judge.domain}"
            yield judge.verdict(Check.MX_LOOPS, server.hostname, text)


def _preference_and_host(value: str) -> tuple[str, int]:
    preference, _, host = value.partition(" ")
    return host, int(preference)
