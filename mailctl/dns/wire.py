"""One exchange with one DNS server, by dnspython: UDP, TCP after truncation, and what the reply means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from mailctl.dns.answer import MOST_VALUES, Answer, Outcome, Question, harmless
from mailctl.errors import missing_modules

try:
    import dns.edns
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.query
    import dns.rcode
    import dns.rdata
    import dns.rdatatype
    import dns.resolver
    from dns.rdtypes.txtbase import TXTBase
except ModuleNotFoundError as error:
    raise missing_modules("dnspython") from error

PAYLOAD = 1232  # bytes of a UDP reply that no path fragments; the choice of the DNS flag day 2020
# RFC 8914: what a validating resolver says where a signature is the reason; 5 DNSSEC indeterminate, 6 bogus,
# 7 and 8 expired and not yet valid, 9 DNSKEY missing, 10 RRSIGs missing, 11 no zone key bit, 12 NSEC missing.
DNSSEC_ERRORS = frozenset(range(5, 13))
ABSENT = {dns.rcode.NOERROR: Outcome.NO_DATA, dns.rcode.NXDOMAIN: Outcome.NXDOMAIN}


class Asked(Protocol):
    """A server: its address and port."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...


def system_servers() -> tuple[str, ...]:
    """The addresses /etc/resolv.conf names."""
    try:
        return tuple(map(str, dns.resolver.Resolver().nameservers))
    except dns.resolver.NoResolverConfiguration:
        return ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """How to ask one server; `timeout` in seconds bounds UDP and TCP each."""

    server: Asked
    timeout: float
    is_recursive: bool

    def ask(self, question: Question) -> Answer:
        """The answer of this server; never raises for what it says or does not say."""
        try:
            name = dns.name.from_text(question.name)
            rdtype = dns.rdatatype.from_text(question.rdtype)
        except (dns.exception.DNSException, ValueError) as error:
            return Answer(question, Outcome.MALFORMED, detail=harmless(f"no name to ask for: {error}"))
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=PAYLOAD)
        # AD in a query asks for AD in the reply, without the signatures themselves; RFC 6840 section 5.7.
        query.flags |= dns.flags.AD
        if not self.is_recursive:
            query.flags &= ~dns.flags.RD
        answer = self._exchange(query, question)
        if answer.outcome is not Outcome.SERVFAIL or not self.is_recursive:
            return answer
        query.flags |= dns.flags.CD
        unchecked = self._exchange(query, question)
        if unchecked.outcome is Outcome.FOUND or unchecked.outcome.is_absent:
            return replace(answer, outcome=Outcome.BOGUS, detail=answer.detail or "it resolves without validation only")
        return answer

    def _exchange(self, query: dns.message.QueryMessage, question: Question) -> Answer:
        where = f"{self.server.address}"
        try:
            reply, _ = dns.query.udp_with_fallback(
                query, where, timeout=self.timeout, port=self.server.port, ignore_unexpected=True
            )
        except dns.exception.Timeout:
            return Answer(question, Outcome.TIMEOUT, detail=f"no answer from {where}")
        except OSError as error:
            return Answer(question, Outcome.TIMEOUT, detail=f"cannot reach {where}: {error.strerror or error}")
        except (dns.exception.DNSException, EOFError, ValueError) as error:
            return Answer(question, Outcome.MALFORMED, detail=harmless(f"a broken reply from {where}: {error}"))
        return self._read(reply, question)

    def _read(self, reply: dns.message.Message, question: Question) -> Answer:
        complaints = [each for each in reply.options if isinstance(each, dns.edns.EDEOption)]
        detail = "; ".join(harmless(_words(each)) for each in complaints[:3])
        if any(int(each.code) in DNSSEC_ERRORS for each in complaints) and reply.rcode() == dns.rcode.SERVFAIL:
            return Answer(question, Outcome.BOGUS, detail=detail)
        if reply.rcode() == dns.rcode.SERVFAIL:
            return Answer(question, Outcome.SERVFAIL, detail=detail)
        if reply.rcode() not in ABSENT:
            said = dns.rcode.to_text(reply.rcode())
            return Answer(question, Outcome.REFUSED, detail=f"{self.server.address} says {said}")
        if not (self.is_recursive or reply.flags & dns.flags.AA):
            return Answer(question, Outcome.REFUSED, detail=f"{self.server.address} is not responsible for it")
        return _read_answer(reply, question)


def _read_answer(reply: dns.message.Message, question: Question) -> Answer:
    if not isinstance(reply, dns.message.QueryMessage):
        return Answer(question, Outcome.MALFORMED, detail="the reply is no answer")
    try:
        chain = reply.resolve_chaining()
    except dns.message.ChainTooLong:
        return Answer(question, Outcome.LOOP, detail=f"the CNAMEs of {question.name} lead nowhere")
    except dns.exception.DNSException as error:
        return Answer(question, Outcome.MALFORMED, detail=harmless(f"a broken reply: {error}"))
    found = chain.answer
    return Answer(
        question,
        Outcome.FOUND if found else ABSENT[reply.rcode()],
        values=tuple(_texts(found)) if found else (),
        ttl=min(chain.minimum_ttl, found.ttl) if found else 0,
        canonical=_name(chain.canonical_name),
        is_authenticated=bool(reply.flags & dns.flags.AD),
    )


def _texts(records: Iterable[dns.rdata.Rdata]) -> Iterator[str]:
    for _, record in zip(range(MOST_VALUES), records, strict=False):
        if isinstance(record, TXTBase):
            yield harmless(b"".join(record.strings))
        else:
            yield harmless(" ".join(map(_plain, record.to_text().split(" "))))


def _plain(word: str) -> str:
    """A name without its final dot, in lower case; other words as they are."""
    return word[:-1].lower() if word.endswith(".") and len(word) > 1 else word


def _name(name: dns.name.Name) -> str:
    return harmless(name.to_text(omit_final_dot=True).lower())


def _words(complaint: dns.edns.EDEOption) -> str:
    label = dns.edns.EDECode.to_text(complaint.code).replace("_", " ").lower()
    return f"{label}: {complaint.text}" if complaint.text else label
