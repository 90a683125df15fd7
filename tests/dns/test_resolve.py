"""The resolver against a real server on loopback: every way a question can end, and hostile answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailctl.dns.answer import LONGEST_VALUE, MOST_VALUES, Outcome, Question
from mailctl.dns.resolve import Resolver, Server
from tests.dns.server import ADDRESS, World, serving

ZONE = r"""
example.org.          MX     10 MX1.example.org.
example.org.          TXT    "v=spf1 " "mx -all"
mx1.example.org.      A      192.0.2.1
www.example.org.      CNAME  web.example.org.
web.example.org.      A      192.0.2.80
loop-a.example.org.   CNAME  loop-b.example.org.
loop-b.example.org.   CNAME  loop-a.example.org.
null.example.org.     MX     0 .
esc.example.org.      TXT    "\027[31mred\000 \"quoted\"" "\255\254"
child.sub.example.org. A     192.0.2.9
"""
HUGE = "\n".join(f'huge.example.org. TXT "{number:04}{"x" * 240}"' for number in range(150))
LONG = f"long.example.org. TXT {' '.join(chr(34) + 'y' * 250 + chr(34) for _ in range(40))}\n"


@contextmanager
def asking(
    zone: str = ZONE, faults: dict[str, str] | None = None, timeout: float = 5, within: float = 60
) -> Iterator[tuple[Resolver, World]]:
    world = World(zone, faults)
    with serving(world) as port:
        yield Resolver([Server(ADDRESS, port)], timeout=timeout, within=within, authoritative_port=port), world


@pytest.mark.parametrize(
    ("name", "rdtype", "outcome", "values"),
    [
        ("example.org", "MX", Outcome.FOUND, ("10 mx1.example.org",)),
        ("EXAMPLE.org.", "TXT", Outcome.FOUND, ("v=spf1 mx -all",)),
        ("www.example.org", "A", Outcome.FOUND, ("192.0.2.80",)),
        ("null.example.org", "MX", Outcome.FOUND, ("0 .",)),
        ("example.org", "AAAA", Outcome.NO_DATA, ()),
        ("sub.example.org", "A", Outcome.NO_DATA, ()),
        ("www.example.org", "MX", Outcome.NO_DATA, ()),
        ("nobody.example.org", "A", Outcome.NXDOMAIN, ()),
        ("loop-a.example.org", "A", Outcome.LOOP, ()),
        ("a..example.org", "A", Outcome.MALFORMED, ()),
        (f"{'x' * 64}.example.org", "A", Outcome.MALFORMED, ()),
    ],
)
def test_how_a_question_ends(name: str, rdtype: str, outcome: Outcome, values: tuple[str, ...]) -> None:
    with asking() as (resolver, _):
        answer = resolver.ask(name, rdtype)
    assert (answer.outcome, answer.values) == (outcome, values)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("servfail", Outcome.SERVFAIL),
        ("bogus", Outcome.BOGUS),
        ("bogus-ede", Outcome.BOGUS),
        ("refused", Outcome.REFUSED),
        ("garbage", Outcome.MALFORMED),
        ("silent", Outcome.TIMEOUT),
    ],
)
def test_faults_of_servers_are_told_apart(fault: str, outcome: Outcome) -> None:
    with asking(faults={"example.org MX": fault}, timeout=0.3 if fault == "silent" else 5) as (resolver, _):
        answer = resolver.ask("example.org", "MX")
    assert answer.outcome is outcome
    assert answer.values == ()
    assert "\x1b" not in str(answer)


def test_nobody_listens() -> None:
    # An address of its own: a port that was just free may be another server's by now.
    quick = Resolver([Server("127.0.0.77", 53)], timeout=0.2)
    assert quick.ask("example.org", "MX").outcome is Outcome.TIMEOUT


def test_an_alias_says_where_it_leads() -> None:
    with asking() as (resolver, _):
        answer = resolver.ask("www.example.org", "A")
        plain = resolver.ask("web.example.org", "A")
    assert answer.is_alias
    assert answer.canonical == "web.example.org"
    assert not plain.is_alias


def test_control_characters_become_escapes() -> None:
    with asking() as (resolver, _):
        (value,) = resolver.ask("esc.example.org", "TXT").values
    assert value == '\\x1b[31mred\\x00 "quoted"\\xff\\xfe'
    assert value.isprintable()


def test_an_answer_too_big_for_udp_comes_by_tcp_and_is_capped() -> None:
    with asking(f"{HUGE}\n{LONG}") as (resolver, world):
        huge = resolver.ask("huge.example.org", "TXT")
        (long,) = resolver.ask("long.example.org", "TXT").values
    assert [transport for name, _, transport in world.asked if name.startswith("huge")] == ["udp", "tcp"]
    assert len(huge.values) == MOST_VALUES
    assert long.endswith("y[cut]")
    assert len(long) == LONGEST_VALUE + len("[cut]")


def test_a_question_is_asked_once() -> None:
    questions = [Question(name, "MX") for name in ("example.org", "EXAMPLE.ORG.", "example.org")]
    with asking() as (resolver, world):
        answers = resolver.ask_all(questions)
        resolver.ask("example.org", "MX")
    assert len(answers) == 1
    assert len(world.asked) == 1


def test_the_next_server_is_asked_when_the_first_refuses() -> None:
    refusing, willing = World(ZONE, {"*": "refused"}), World(ZONE)
    with serving(refusing) as first, serving(willing) as second:
        answer = Resolver([Server(ADDRESS, first), Server(ADDRESS, second)]).ask("example.org", "MX")
    assert answer.outcome is Outcome.FOUND
    assert refusing.asked


def test_the_deadline_ends_every_question() -> None:
    questions = [Question(f"h{number}.example.org", "A") for number in range(500)]
    with asking(faults={"*": "silent"}, timeout=0.5, within=1) as (resolver, world):
        started = time.monotonic()
        answers = resolver.ask_all(questions)
        took = time.monotonic() - started
    assert {each.outcome for each in answers.values()} == {Outcome.TIMEOUT}
    # 500 questions would take 16 seconds; most of them were never sent.
    assert len(world.asked) < 250
    assert took < 10


DELEGATED = """
example.org.       NS  ns1.example.org.
example.org.       NS  ns2.example.org.
ns1.example.org.   A   127.0.0.1
ns2.example.org.   A   127.0.0.1
s1._domainkey.example.org.  TXT "v=DKIM1; p=abc"
s2._domainkey.example.org.  CNAME s2.keys.example.net.
example.net.       NS  ns.example.net.
ns.example.net.    A   127.0.0.1
s2.keys.example.net.  TXT "v=DKIM1; p=def"
"""


def test_authoritative_servers_are_asked_directly_and_anew() -> None:
    with asking(DELEGATED) as (resolver, world):
        resolver.ask("s1._domainkey.example.org", "TXT")
        for _ in range(2):
            said = resolver.ask_authoritative("s1._domainkey.example.org", "TXT")
            assert {each.server.name for each in said} == {"ns1.example.org", "ns2.example.org"}
            assert {each.answer.values for each in said} == {("v=DKIM1; p=abc",)}
    assert sum(name.startswith("s1._domainkey") and rdtype == "TXT" for name, rdtype, _ in world.asked) == 5


def test_a_key_behind_a_cname_is_looked_for_where_it_leads() -> None:
    with asking(DELEGATED) as (resolver, _):
        (said,) = {each.answer.values for each in resolver.ask_authoritative("s2._domainkey.example.org", "TXT")}
    assert said == ("v=DKIM1; p=def",)


def test_a_server_that_is_not_responsible_is_not_believed() -> None:
    with asking(DELEGATED, {"s1._domainkey.example.org TXT": "lame"}) as (resolver, _):
        said = resolver.ask_authoritative("s1._domainkey.example.org", "TXT")
    assert {each.answer.outcome for each in said} == {Outcome.REFUSED}


def test_without_name_servers_nothing_is_said() -> None:
    with asking() as (resolver, _):
        assert resolver.ask_authoritative("s1._domainkey.example.org", "TXT") == ()
