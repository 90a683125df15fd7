"""How receiving domains treat our mail, number by number, where the truth is known from who sent it."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from recorded_logs import RECORDED, RUNS

from mailctl.maillog import summarise
from mailctl.maillog.formats.problems import causes_of
from mailctl.maillog.report import DomainDelivery, Rows

KNOWN = tomllib.loads(Path(__file__).with_name("deliverability.toml").read_text())
SINK = re.compile(rb"127\.0\.0\.1\[127\.0\.0\.1\](:26\d\d|:9(?=:)|(?= said| refused| while))")


def counts(rows: Rows) -> dict[str, int]:
    return {row.name: row.messages for row in rows}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("scenario", KNOWN)
def test_a_scenario_has_the_numbers_of_its_driver(scenario: str, run: str) -> None:
    log = (RECORDED / run / scenario / "mail.log").read_bytes()
    report = summarise(SINK.sub(rb"sink.example[192.0.2.26]\1", log).splitlines()).deliverability
    known: dict[str, Any] = dict(KNOWN[scenario])
    senders = known.pop("senders", {})
    nothing = dict.fromkeys(("delivered", "first_try", "deferred", "bounced", "tls"), 0)
    found = {domain.domain: {name: getattr(domain, name) for name in nothing} for domain in report.domains}
    assert found == {domain: nothing | numbers for domain, numbers in known.items()}
    assert counts(report.senders) == senders
    assert sum(counts(report.relays).values()) == sum(senders.values())


REPLIES = {
    "550 5.7.26 Unauthenticated email from example.org is not accepted": ("bounced", "authentication"),
    "452 4.2.2 The email account that you tried to reach is over quota": ("deferred", "mailbox-full"),
    "450 4.2.0 Recipient address rejected: Greylisted": ("deferred", "greylisting"),
}
TRUST = ("Anonymous", "Untrusted", "Trusted", "Verified")


@dataclass
class Truth:
    """Of one domain."""

    counts: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)


class World:
    """Sends mail as the numbers of `pick` want it, writes what Postfix would, and keeps count of what it did."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)  # noqa: S311 (a sample, not a secret)
        self.lines: list[str] = []
        self.domains: defaultdict[str, Truth] = defaultdict(Truth)
        self.senders: Counter[str] = Counter()
        self.relays: Counter[str] = Counter()

    def write(self, program: str, text: str) -> None:
        self.lines.append(f"2026-03-01T10:{len(self.lines) // 60 % 60:02}:00+00:00 mx1 postfix/{program}[7]: {text}")

    def send(self, number: int) -> None:
        queue_id, sender = f"4F{number:06X}", f"user{self.pick.randrange(5)}@example.org"
        self.write("smtpd", f"{queue_id}: client=home.example[192.0.2.1]")
        self.write("qmgr", f"{queue_id}: from=<{sender}>, size=700, nrcpt=2 (queue active)")
        waiting = {f"r{place}@{self.pick.choice(('a', 'B', 'c'))}.example" for place in range(2)}
        for attempt in range(4):
            waiting = {to for to in sorted(waiting) if not self.try_once(queue_id, sender, to, is_first=attempt == 0)}
        self.write("qmgr", f"{queue_id}: removed")

    def try_once(self, queue_id: str, sender: str, to: str, is_first: bool) -> bool:
        """Whether that was the end of it."""
        domain = to.partition("@")[2]
        truth, relay = self.domains[domain.lower()], f"mx.{domain}[203.0.113.{self.pick.randrange(3)}]:25"
        delay = self.pick.choice((0.05, 0.4, 1.7, 12, 340))
        start = f"{queue_id}: to=<{to}>, relay={relay}, delay={delay}, delays=0/0/0/0"
        reply = self.pick.choice((None, None, *REPLIES))
        if reply is not None:
            status, cause = REPLIES[reply]
            said = f"host {relay[:-3]} said: {reply} (in reply to RCPT TO command)"
            self.write("smtp", f"{start}, dsn={reply.split()[1]}, status={status} ({said})")
            truth.counts[status] += 1
            truth.causes[cause] += 1
            self.senders[sender] += 1
            self.relays[relay] += 1
            return status == "bounced"
        level = self.pick.choice(("", *TRUST))
        if level:
            self.write("smtp", f"{level} TLS connection established to {relay}: TLSv1.3 with cipher X (256/256 bits)")
            truth.levels[level] += 1
        self.write("smtp", f"{start}, tls={'may' if level else 'none'}, dsn=2.0.0, status=sent (250 2.0.0 Ok)")
        truth.counts["delivered"] += 1
        truth.counts["first_try"] += is_first
        truth.delays.append(delay)
        return True


def nearest_rank(delays: list[float], percent: int) -> float:
    return sorted(delays)[ceil(len(delays) * percent / 100) - 1]


def check(found: DomainDelivery, truth: Truth) -> None:
    numbers = {name: getattr(found, name) for name in ("delivered", "first_try", "deferred", "bounced")}
    assert numbers == {name: truth.counts[name] for name in numbers}
    assert (found.tls, counts(found.levels)) == (truth.levels.total(), dict(truth.levels))
    assert {cause.name: count for cause, count in causes_of(found)} == dict(truth.causes)
    for percent in (50, 90, 95, 99):
        assert getattr(found.delay, f"p{percent}") == nearest_rank(truth.delays, percent)
    assert found.delay.max == max(truth.delays)


@pytest.mark.parametrize("seed", range(5))
def test_every_number_of_a_domain_is_what_was_done(seed: int) -> None:
    world = World(seed)
    for number in range(300):
        world.send(number)
    report = summarise(world.lines).deliverability
    assert {found.domain for found in report.domains} == set(world.domains)
    for found in report.domains:
        check(found, world.domains[found.domain])
    assert counts(report.senders) == dict(world.senders)
    assert counts(report.relays) == dict(world.relays)
