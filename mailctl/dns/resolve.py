"""The only home of DNS queries: a stub resolver with a deadline, and questions to authoritative servers.

    resolver = Resolver.of_system()              # or Resolver((Server("192.0.2.53"),))
    answer = resolver.ask("example.org", "MX")   # never raises: answer.outcome says how it ended
    answers = resolver.ask_all([Question("example.org", "MX"), Question("example.org", "TXT")])    # in parallel
    for said in resolver.ask_authoritative("s2026a._domainkey.example.org", "TXT"):
        said.server, said.answer                 # what each server of the zone itself says, caches left aside

Every question is asked once and remembered, except those to authoritative servers. When the deadline is over,
what is still asked ends at once with Outcome.TIMEOUT. Needs dnspython (extra `dns`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mailctl.dns.answer import Answer, Outcome, Question
from mailctl.errors import UnfitError

if TYPE_CHECKING:
    from mailctl.dns.wire import Exchange

PORT = 53
MOST_AT_ONCE = 64
MOST_CNAMES = 8
ROUNDS = 2  # how often every server is asked before a question counts as unanswered

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask: an IP address, and the server's name where it is known."""

    address: str
    port: int = PORT
    name: str = ""

    def __str__(self) -> str:
        where = self.address if self.port == PORT else f"{self.address}@{self.port}"
        return f"{self.name} ({where})" if self.name else where


@dataclass(frozen=True, slots=True)
class Said:
    """What one authoritative server says."""

    server: Server
    answer: Answer


class Resolver:
    """Asks recursive servers; the deadline runs from its making.

    Args:
        servers: recursive servers, in the order to ask them.
        timeout: seconds one try may take.
        within: seconds all questions together may take.
        authoritative_port: where authoritative servers listen.
    """

    def __init__(
        self, servers: Iterable[Server], *, timeout: float = 2, within: float = 9, authoritative_port: int = PORT
    ) -> None:
        self.servers = tuple(servers)
        self.timeout = timeout
        self._deadline = time.monotonic() + within
        self._authoritative_port = authoritative_port
        self._asked: dict[Question, Future[Answer]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_system(cls, *, timeout: float = 2, within: float = 9) -> Resolver:
        """The resolver /etc/resolv.conf names.

        Raises:
            UnfitError: it names none, or dnspython is not installed.
        """
        from mailctl.dns.wire import system_servers

        addresses = system_servers()
        if not addresses:
            raise UnfitError("/etc/resolv.conf names no DNS server", hint="name one with --nameserver")
        return cls([Server(address) for address in addresses], timeout=timeout, within=within)

    def ask(self, name: str, rdtype: str) -> Answer:
        """The answer to one question, CNAMEs followed."""
        question = _question(name, rdtype)
        with self._lock:
            asked = self._asked.get(question)
            is_ours = asked is None
            if asked is None:
                asked = self._asked[question] = Future()
        if is_ours:
            try:
                asked.set_result(self._follow(question))
            except BaseException as error:
                asked.set_exception(error)
                raise
        return asked.result()

    def ask_all(self, questions: Iterable[Question]) -> Mapping[Question, Answer]:
        """The answers to many questions, asked at the same time."""
        unique = list(dict.fromkeys(_question(each.name, each.rdtype) for each in questions))
        return dict(zip(unique, in_parallel(lambda each: self.ask(each.name, each.rdtype), unique), strict=True))

    def authoritative_servers(self, name: str) -> tuple[Server, ...]:
        """Every address of every server of the zone that holds `name`; empty where they cannot be found."""
        labels = name.lower().rstrip(".").split(".")
        for start in range(len(labels) - 1):
            zone = ".".join(labels[start:])
            found = self.ask(zone, "NS")
            if found.outcome is Outcome.FOUND and not found.is_alias:
                return self._addresses(found.values)
        return ()

    def ask_authoritative(self, name: str, rdtype: str) -> tuple[Said, ...]:
        """What every server of the zone says about `name`, now; of the zone where its CNAMEs lead, if any.

        Empty where the servers cannot be found. A server that is not responsible ends with Outcome.REFUSED.
        """
        question = _question(name, rdtype)
        said: list[Said] = []
        for _ in range(MOST_CNAMES):
            servers = self.authoritative_servers(question.name)
            answers = in_parallel(partial(self._ask_one, question), servers)
            said = [Said(server, answer) for server, answer in zip(servers, answers, strict=True)]
            elsewhere = [each.answer for each in said if each.answer.is_alias and each.answer.outcome.is_absent]
            if not elsewhere:
                break
            question = replace(question, name=elsewhere[0].canonical)
        return tuple(said)

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def _addresses(self, names: Iterable[str]) -> tuple[Server, ...]:
        answers = self.ask_all(Question(name, rdtype) for name in names for rdtype in ("A", "AAAA"))
        return tuple(
            Server(value, self._authoritative_port, question.name)
            for question, answer in answers.items()
            for value in answer.values
        )

    def _follow(self, question: Question) -> Answer:
        """A recursive server follows CNAMEs itself; one that answers for a few zones only does not."""
        seen = {question.name}
        asked = question
        for _ in range(MOST_CNAMES):
            answer = self._ask_servers(asked)
            if not (answer.outcome is Outcome.NO_DATA and answer.is_alias):
                return replace(answer, question=question, canonical=answer.canonical or asked.name)
            if answer.canonical in seen:
                break
            seen.add(answer.canonical)
            asked = replace(asked, name=answer.canonical)
        return Answer(question, Outcome.LOOP, detail=f"the CNAMEs of {question.name} lead nowhere")

    def _ask_servers(self, question: Question) -> Answer:
        """The first answer that says something; else the best of those that do not."""
        worst = Answer(question, Outcome.TIMEOUT, detail="the time for all questions is over")
        for server in self.servers * ROUNDS:
            if self.seconds_left <= 0:
                break
            answer = self._exchange(server, recursive=True).ask(question)
            if answer.outcome not in (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.SERVFAIL):
                return answer
            if worst.outcome is Outcome.TIMEOUT:
                worst = answer
        return worst

    def _ask_one(self, question: Question, server: Server) -> Answer:
        answer = Answer(question, Outcome.TIMEOUT, detail="the time for all questions is over")
        for _ in range(ROUNDS):
            if self.seconds_left > 0 and answer.outcome is Outcome.TIMEOUT:
                answer = self._exchange(server, recursive=False).ask(question)
        return answer

    def _exchange(self, server: Server, *, recursive: bool) -> Exchange:
        from mailctl.dns.wire import Exchange

        return Exchange(server, min(self.timeout, max(self.seconds_left, 0.01)), recursive)


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`function` of every item, in threads, in the order of the items; an interrupt does not wait for the rest."""
    todo = list(items)
    if not todo:
        return []
    pool = ThreadPoolExecutor(min(MOST_AT_ONCE, len(todo)))
    try:
        return list(pool.map(function, todo))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _question(name: str, rdtype: str) -> Question:
    return Question(name.lower().rstrip("."), rdtype)
