"""What stands around the mail of a domain: MTA-STS (RFC 8461), TLSRPT (RFC 8460), SRV, and domains without mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailctl.dkim.tags import parse_tags
from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.check_dmarc import dmarc_texts
from mailctl.dns.judge import Judge, absence
from mailctl.dns.records import NULL_MX, DomainPlan
from mailctl.dns.senders import NOBODY
from mailctl.dns.spf_record import spf_texts
from mailctl.dns.verdict import Check, Verdict

_STS_ID = re.compile(r"[A-Za-z0-9]{1,32}")
REJECTING = re.compile(r"v\s*=\s*DMARC1\s*;\s*p\s*=\s*reject\b.*")


def check_mta_sts(judge: Judge) -> Iterator[Verdict]:
    """The record that says a policy is there, and the host it is fetched from. The policy itself is not fetched."""
    name = f"_mta-sts.{judge.domain}"
    answer = judge.ask(name, "TXT")
    wanted = judge.records(name, "TXT")
    texts = [text for text in answer.values if text.startswith("v=STSv1")]
    yield from judge.trouble(answer)
    if not wanted:
        if texts:
            yield judge.verdict(Check.MTA_STS_LEFT, name, f"{texts[0]!r} at {name}")
        return
    if _is_known(answer) and not texts:
        yield judge.verdict(Check.MTA_STS_MISSING, name, absence(answer), *wanted)
    elif len(texts) > 1 or (texts and not _sts_id(texts[0])):
        yield judge.verdict(Check.MTA_STS_INVALID, name, f"{' and '.join(texts)!r} at {name}", *wanted, answer=answer)
    elif texts and _sts_id(texts[0]) != _sts_id(wanted[0].value):
        yield judge.verdict(Check.MTA_STS_OLD, name, f"{texts[0]!r} at {name}", *wanted, answer=answer)
    host = f"mta-sts.{judge.domain}"
    answers = [judge.ask(host, rdtype) for rdtype in ("A", "AAAA")]
    yield from judge.trouble(*answers)
    if all(each.outcome.is_absent for each in answers):
        yield judge.verdict(Check.MTA_STS_HOST, host, f"{host} has no address ({answers[0].outcome})")


def check_tlsrpt(judge: Judge) -> Iterator[Verdict]:
    name = f"_smtp._tls.{judge.domain}"
    answer = judge.ask(name, "TXT")
    wanted = judge.records(name, "TXT")
    texts = [text for text in answer.values if text.startswith("v=TLSRPTv1")]
    yield from judge.trouble(answer)
    if _is_known(answer) and not texts:
        yield judge.verdict(Check.TLSRPT_MISSING, name, absence(answer), *wanted)
    elif texts and (len(texts) > 1 or not _tag(texts[0], "rua")):
        found = f"{' and '.join(texts)!r} at {name}"
        yield judge.verdict(Check.TLSRPT_INVALID, name, found, *wanted, answer=answer)


def check_srv(judge: Judge, plan: DomainPlan) -> Iterator[Verdict]:
    """Where mail programs find the services; a service that is not offered need not be named."""
    for wanted in (record for record in plan.records() if record.rdtype == "SRV"):
        answer = judge.ask(wanted.name, "SRV")
        yield from judge.trouble(answer)
        is_offered = not wanted.value.endswith(" .")
        if answer.outcome.is_absent and is_offered:
            yield judge.verdict(Check.SRV_MISSING, wanted.name, absence(answer), wanted)
        elif answer.values and {_port_and_host(value) for value in answer.values} != {_port_and_host(wanted.value)}:
            found = f"{', '.join(answer.values)} at {wanted.name}"
            yield judge.verdict(Check.SRV_DIFFERS, wanted.name, found, wanted, answer=answer)


def check_parked(judge: Judge) -> Iterator[Verdict]:
    """A domain that sends and receives nothing says so; RFC 7505, M3AAWG's advice for parked domains."""
    exchangers, spf, dmarc = (
        judge.ask(name, rdtype)
        for name, rdtype in ((judge.domain, "MX"), (judge.domain, "TXT"), (f"_dmarc.{judge.domain}", "TXT"))
    )
    yield from judge.trouble(exchangers, spf, dmarc)
    if _is_known(exchangers) and exchangers.values != (NULL_MX,):
        found = ", ".join(exchangers.values) or absence(exchangers)
        records = judge.records(judge.domain, "MX")
        yield judge.verdict(Check.PARKED_MX, judge.domain, found, *records, answer=exchangers)
    if _is_known(spf) and spf_texts(spf) != (NOBODY,):
        found = ", ".join(spf_texts(spf)) or "no SPF record"
        records = judge.records(judge.domain, "TXT")
        yield judge.verdict(Check.PARKED_SPF, judge.domain, found, *records, answer=spf)
    texts = dmarc_texts(dmarc)
    if _is_known(dmarc) and not (len(texts) == 1 and REJECTING.fullmatch(texts[0])):
        found = ", ".join(texts) or "no DMARC record"
        name = f"_dmarc.{judge.domain}"
        yield judge.verdict(Check.PARKED_DMARC, name, found, *judge.records(name, "TXT"), answer=dmarc)


def _is_known(answer: Answer) -> bool:
    return answer.outcome is Outcome.FOUND or answer.outcome.is_absent


def _sts_id(text: str) -> str:
    found = _tag(text, "id")
    return found if _STS_ID.fullmatch(found) else ""


def _tag(text: str, tag: str) -> str:
    try:
        return parse_tags(text).get(tag, "")
    except ValueError:
        return ""


def _port_and_host(value: str) -> str:
    """Without priority and weight, which are the administrator's to choose."""
    return " ".join(value.split()[2:])
