"""DMARC: one readable record, as strict as the spec wants, whose reports arrive; RFC 7489, RFC 9989.

Where the two differ, what both kinds of receivers follow counts: `p=` must be there, `pct=` and its successor `t=y`
both weaken a policy. Their searches for the organisational domain differ only for names without a record of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailctl.dkim.tags import parse_tags
from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.judge import Judge, absence
from mailctl.dns.record import Record
from mailctl.dns.suffix import organisational_domain, same_organisation
from mailctl.dns.verdict import Check, Verdict
from mailctl.spec.choices import DmarcPolicy

STRICTNESS = list(DmarcPolicy)
MOST_REPORTERS = 5  # a stranger's record must not make us ask without end


def check_dmarc(judge: Judge, wanted: DmarcPolicy) -> Iterator[Verdict]:
    """The domain's own record, else that of the organisational domain, as receivers look for it."""
    name = f"_dmarc.{judge.domain}"
    answer = judge.ask(name, "TXT")
    if answer.outcome is not Outcome.FOUND and not answer.outcome.is_absent:
        yield from judge.trouble(answer)
        return
    paste = judge.records(name, "TXT")
    own = dmarc_texts(answer)
    inherited = () if own else _inherited(judge)
    if len(own) > 1:
        yield judge.verdict(Check.DMARC_MULTIPLE, name, f"{len(own)} DMARC records at {name}", *paste, answer=answer)
    elif own:
        yield from _check_text(judge, answer, own[0], wanted, paste)
    elif len(inherited) == 1:
        yield from _check_text(judge, answer, inherited[0], wanted, paste, is_inherited=True)
    else:
        found = absence(answer) if answer.outcome.is_absent else f"no TXT record at {name} is DMARC"
        yield judge.verdict(Check.DMARC_MISSING, name, found, *paste, answer=answer)


def dmarc_texts(answer: Answer) -> tuple[str, ...]:
    """The DMARC records among TXT records; others are ignored."""
    return tuple(text for text in answer.values if text.partition(";")[0].replace(" ", "") == "v=DMARC1")


def _inherited(judge: Judge) -> tuple[str, ...]:
    above = organisational_domain(judge.domain)
    return dmarc_texts(judge.ask(f"_dmarc.{above}", "TXT")) if above != judge.domain else ()


def _check_text(
    judge: Judge,
    answer: Answer,
    text: str,
    wanted: DmarcPolicy,
    paste: tuple[Record, ...],
    *,
    is_inherited: bool = False,
) -> Iterator[Verdict]:
    name = answer.question.name

    def verdict(check: Check, found: str) -> Verdict:
        return judge.verdict(check, name, f"{found}; in {text!r}", *paste, answer=answer)

    try:
        tags = parse_tags(text)
        policy = DmarcPolicy(tags.get("sp", tags["p"]) if is_inherited else tags["p"])
        percent = int(tags.get("pct", "100"))
    except KeyError:
        yield verdict(Check.DMARC_INVALID, "p= is missing")
        return
    except ValueError as error:
        yield verdict(Check.DMARC_INVALID, str(error))
        return
    if STRICTNESS.index(policy) < STRICTNESS.index(wanted):
        yield verdict(Check.DMARC_WEAKER, f"the policy is {policy}, and the spec wants {wanted}")
    if percent < 100 or tags.get("t") == "y":
        yield verdict(Check.DMARC_PARTIAL, f"pct={percent}" if percent < 100 else "t=y")
    if "rua" not in tags:
        yield verdict(Check.DMARC_NO_REPORTS, "no rua=")
    elif not is_inherited:
        yield from _check_reports(judge, tags)


def _check_reports(judge: Judge, tags: Mapping[str, str]) -> Iterator[Verdict]:
    """Section 7.1: reports go to another organisation only where it says so."""
    for uri in tags["rua"].split(",")[:MOST_REPORTERS]:
        reporting = uri.strip().partition("!")[0].rpartition("@")[2].lower()
        if same_organisation(reporting, judge.domain):
            continue
        name = f"{judge.domain}._report._dmarc.{reporting}"
        answer = judge.ask(name, "TXT")
        yield from judge.trouble(answer)
        if answer.outcome.is_absent or (answer.outcome is Outcome.FOUND and not dmarc_texts(answer)):
            record = Record(judge.domain, name, "TXT", "v=DMARC1", f"{reporting} takes reports on {judge.domain}")
            yield judge.verdict(Check.DMARC_REPORTS_REFUSED, name, absence(answer), record)
