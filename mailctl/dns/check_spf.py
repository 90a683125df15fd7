"""SPF: one record, readable, within the limits, that lets our servers and relays send and nobody else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.judge import Judge, absence
from mailctl.dns.record import Record
from mailctl.dns.senders import MOST_LOOKUPS, MOST_VOIDS, sending_servers, spf_includes
from mailctl.dns.spf import Evaluation, TempError
from mailctl.dns.spf_record import PermError, Result, SpfRecord, parse_spf, spf_texts
from mailctl.dns.verdict import Check, Verdict
from mailctl.spec.model import Server

NOT_OURS = "the fault lies in an include that a relay asks for: tell its owner, or send through fewer relays"


def check_spf(judge: Judge, wanted: Record) -> Iterator[Verdict]:
    """Differences between what is published and what `wanted` would do."""
    answer = judge.ask(judge.domain, "TXT")
    yield from judge.trouble(answer)
    if answer.outcome in (Outcome.FOUND, Outcome.NO_DATA, Outcome.NXDOMAIN):
        yield from _check_texts(judge, wanted, answer)


def _check_texts(judge: Judge, wanted: Record, answer: Answer) -> Iterator[Verdict]:
    texts = spf_texts(answer)
    if len(texts) != 1:
        check, found = Check.SPF_MULTIPLE, f"{len(texts)} SPF records at {judge.domain}"
        if not texts:
            check, found = Check.SPF_MISSING, _no_record(answer)
        yield judge.verdict(check, judge.domain, found, merged(texts, wanted), answer=answer)
        return
    try:
        record = parse_spf(texts[0])
        yield from _check_cost(judge, wanted, answer, texts[0])
        yield from _check_senders(judge, wanted, answer, texts[0])
    except PermError as error:
        yield _broken(judge, Check.SPF_PERMERROR, f"{error}; in {texts[0]!r}", wanted, answer)
        return
    except TempError as error:
        yield from judge.trouble(error.answer)
        return
    yield from _check_end(judge, wanted, answer, texts[0], record)


def _broken(judge: Judge, check: Check, found: str, wanted: Record, answer: Answer) -> Verdict:
    """A record receivers stop at. Where what it must include is at fault, no record of ours mends it."""
    if _is_sound(judge, wanted.value):
        return judge.verdict(check, judge.domain, found, wanted, answer=answer)
    return replace(judge.verdict(check, judge.domain, found), hint=NOT_OURS)


def _is_sound(judge: Judge, text: str) -> bool:
    worst = Evaluation(judge.ask)
    try:
        worst.of_text(judge.domain, text)
    except (PermError, TempError):
        return False
    return worst.lookups <= MOST_LOOKUPS and worst.voids <= MOST_VOIDS


def _no_record(answer: Answer) -> str:
    return absence(answer) if answer.outcome.is_absent else f"{answer.question.name} has TXT records, none of them SPF"


def _check_cost(judge: Judge, wanted: Record, answer: Answer, text: str) -> Iterator[Verdict]:
    worst = Evaluation(judge.ask)
    worst.of_text(judge.domain, text)
    if worst.lookups > MOST_LOOKUPS:
        yield _broken(judge, Check.SPF_LOOKUPS, f"{worst.lookups} look-ups in {text!r}", wanted, answer)
    if worst.voids > MOST_VOIDS:
        found = f"{worst.voids} names that do not exist in {text!r}"
        yield _broken(judge, Check.SPF_VOID, found, wanted, answer)
    for include in spf_includes(judge.spec, judge.domain):
        if include not in worst.included:
            found = f"include:{include} is not in {text!r}"
            yield judge.verdict(Check.SPF_LACKS_RELAY, include, found, merged([text], wanted), answer=answer)


def _check_senders(judge: Judge, wanted: Record, answer: Answer, text: str) -> Iterator[Verdict]:
    for server in sending_servers(judge.facts.servers):
        for address in addresses_of(judge, server):
            result = Evaluation(judge.ask, ipaddress.ip_address(address)).of_text(judge.domain, text)
            if result is not Result.PASS:
                found = f"{server.hostname} ({address}) gets {result} from {text!r}"
                yield judge.verdict(Check.SPF_LACKS_SERVER, address, found, merged([text], wanted), answer=answer)


def _check_end(judge: Judge, wanted: Record, answer: Answer, text: str, record: SpfRecord) -> Iterator[Verdict]:
    better = merged([text], wanted)
    if record.ends_in is Result.PASS:
        yield judge.verdict(Check.SPF_OPEN, judge.domain, f"everybody passes {text!r}", better, answer=answer)
    elif record.ends_in in (Result.SOFTFAIL, Result.NEUTRAL):
        found = f"everybody else gets {record.ends_in} from {text!r}"
        yield judge.verdict(Check.SPF_SOFT, judge.domain, found, better, answer=answer)
    if any(mechanism.name == "ptr" for mechanism in record.mechanisms):
        yield judge.verdict(Check.SPF_PTR, judge.domain, f"ptr in {text!r}", better, answer=answer)


def addresses_of(judge: Judge, server: Server) -> tuple[str, ...]:
    """The addresses a server's mail leaves from: those of the spec, else those its name has."""
    if server.addresses:
        return server.addresses
    return tuple(value for rdtype in ("A", "AAAA") for value in judge.ask(server.hostname, rdtype).values)


def merged(texts: Iterable[str], wanted: Record) -> Record:
    """One record with what is published and what is wanted: others than mailctl may send as the domain too."""
    terms = [_including(term) for text in (wanted.value, *sorted(texts)) for term in text.split()[1:]]
    kept = [term for term in dict.fromkeys(terms) if term.lower().lstrip("+-~?") not in ("all", "ptr")]
    return replace(wanted, value=" ".join(("v=spf1", *kept, "-all")))


def _including(term: str) -> str:
    """An include for a redirect, which means nothing before `-all`."""
    return f"include:{term[len('redirect=') :]}" if term.lower().startswith("redirect=") else term
