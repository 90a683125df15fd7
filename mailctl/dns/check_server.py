"""A server by its name and addresses: A, AAAA, the way back, SPF of its HELO name, DANE, block lists."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.blocklists import check_blocklists
from mailctl.dns.check_spf import addresses_of
from mailctl.dns.judge import Judge, absence
from mailctl.dns.senders import sending_servers
from mailctl.dns.spf_record import spf_texts
from mailctl.dns.verdict import Check, Verdict
from mailctl.spec.model import Server


def check_server(judge: Judge, server: Server) -> Iterator[Verdict]:
    """Everything about one server of the fleet."""
    yield from _check_addresses(judge, server)
    addresses = addresses_of(judge, server)
    for address in addresses:
        yield from _check_way_back(judge, server, address)
    yield from _check_helo(judge, server)
    yield from _check_tlsa(judge, server)
    if server in sending_servers(judge.facts.servers):
        for address in addresses:
            yield from check_blocklists(judge, address)


def _check_addresses(judge: Judge, server: Server) -> Iterator[Verdict]:
    answers = [judge.ask(server.hostname, rdtype) for rdtype in ("A", "AAAA")]
    yield from judge.trouble(*answers)
    wanted = judge.records(server.hostname, "A", "AAAA")
    if all(answer.outcome.is_absent for answer in answers):
        found = f"{server.hostname} has no address ({answers[0].outcome})"
        yield judge.verdict(Check.ADDRESS_MISSING, server.hostname, found, *wanted)
        return
    published = {str(ipaddress.ip_address(value)) for answer in answers for value in answer.values}
    is_known = all(answer.outcome is Outcome.FOUND or answer.outcome.is_absent for answer in answers)
    if server.addresses and is_known and published != set(server.addresses):
        found = f"{server.hostname} has {', '.join(sorted(published))}, and the spec says {', '.join(server.addresses)}"
        longest = max(answers, key=lambda answer: answer.ttl)
        yield judge.verdict(Check.ADDRESS_DIFFERS, server.hostname, found, *wanted, answer=longest)


def _check_way_back(judge: Judge, server: Server, address: str) -> Iterator[Verdict]:
    """The address has a name that has the address, best the server's own."""
    name = ipaddress.ip_address(address).reverse_pointer
    answer = judge.ask(name, "PTR")
    wanted = judge.records(name, "PTR")
    yield from judge.trouble(answer)
    if answer.outcome.is_absent:
        yield judge.verdict(Check.PTR_MISSING, name, f"{address} has no name ({answer.outcome})", *wanted)
    if answer.outcome is not Outcome.FOUND:
        return
    names = ", ".join(answer.values)
    if not any(_has_address(judge, each, address) for each in answer.values):
        found = f"{address} is called {names}, which does not have this address"
        yield judge.verdict(Check.PTR_MISMATCH, name, found, *wanted, answer=answer)
    elif server.hostname not in answer.values:
        yield judge.verdict(Check.PTR_OTHER, name, f"{address} is called {names}", *wanted, answer=answer)


def _has_address(judge: Judge, name: str, address: str) -> bool:
    rdtype = "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    return any(ipaddress.ip_address(each) == ipaddress.ip_address(address) for each in judge.ask(name, rdtype).values)


def _check_helo(judge: Judge, server: Server) -> Iterator[Verdict]:
    answer = judge.ask(server.hostname, "TXT")
    yield from judge.trouble(answer)
    is_known = answer.outcome is Outcome.FOUND or answer.outcome.is_absent
    if is_known and not spf_texts(answer):
        wanted = judge.records(server.hostname, "TXT")
        yield judge.verdict(Check.HELO_SPF_MISSING, server.hostname, _no_spf(answer), *wanted)


def _no_spf(answer: Answer) -> str:
    return absence(answer) if answer.outcome.is_absent else f"no TXT record of {answer.question.name} is SPF"


def _check_tlsa(judge: Judge, server: Server) -> Iterator[Verdict]:
    """DANE is optional: no record is fine, a wrong one loses mail. Only this machine's certificate can be read."""
    name = f"_25._tcp.{server.hostname}"
    wanted = judge.records(name, "TLSA")
    answer = judge.ask(name, "TLSA")
    yield from judge.trouble(answer)
    if not wanted or answer.outcome is not Outcome.FOUND:
        return
    if wanted[0].value not in {value.lower() for value in answer.values}:
        found = f"none of {', '.join(answer.values)} is the key of the certificate"
        yield judge.verdict(Check.TLSA_MISMATCH, name, found, *wanted, answer=answer)
    if not answer.is_authenticated:
        found = f"the resolver did not validate {name}: the zone is not signed, or the resolver does not look"
        yield judge.verdict(Check.TLSA_UNSIGNED, name, found)
