"""What every check of one domain or server shares: who to ask, what should be there, how to say what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailctl.dns.answer import Answer, Outcome
from mailctl.dns.facts import Facts
from mailctl.dns.record import Record
from mailctl.dns.resolve import Resolver
from mailctl.dns.verdict import Check, Verdict, ttl_hint
from mailctl.spec.model import Spec

TROUBLES = {
    Outcome.SERVFAIL: Check.SERVFAIL,
    Outcome.BOGUS: Check.BOGUS,
    Outcome.TIMEOUT: Check.TIMEOUT,
    Outcome.REFUSED: Check.REFUSED,
    Outcome.LOOP: Check.LOOP,
    Outcome.MALFORMED: Check.MALFORMED,
}

Wanted = Mapping[tuple[str, str], list[Record]]


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges one domain or server of the spec. `wanted` is everything the spec wants published, by name and type."""

    spec: Spec
    facts: Facts
    resolver: Resolver
    domain: str
    wanted: Wanted

    def ask(self, name: str, rdtype: str) -> Answer:
        return self.resolver.ask(name, rdtype)

    def verdict(self, check: Check, name: str, found: str, *paste: Record, answer: Answer | None = None) -> Verdict:
        return Verdict(check, self.domain, name, found, paste, ttl_hint(answer) if answer and paste else "")

    def trouble(self, *answers: Answer) -> Iterator[Verdict]:
        """A verdict for each answer that tells nothing about what is published."""
        for answer in answers:
            if answer.outcome in TROUBLES:
                question = f"{answer.question.name} {answer.question.rdtype}"
                yield self.verdict(TROUBLES[answer.outcome], answer.question.name, f"{question}: {answer}")

    def records(self, name: str, *rdtypes: str) -> tuple[Record, ...]:
        """What should be published at `name`."""
        return tuple(record for rdtype in rdtypes for record in self.wanted.get((name, rdtype), ()))


def absence(answer: Answer) -> str:
    """`_dmarc.example.org has no TXT record (nxdomain)`."""
    return f"{answer.question.name} has no {answer.question.rdtype} record ({answer.outcome})"
