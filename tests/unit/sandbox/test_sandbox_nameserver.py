from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from mailctl.sandbox.names import Names
from mailctl.sandbox.nameserver import Nameserver
from mailctl.sandbox.settings import ZONE, write_json


@pytest.fixture
def nameserver(tmp_path: Path) -> Nameserver:
    zone = {
        "example.org": {"MX": ["10 mx1.example.org."], "TXT": ['"v=spf1 mx -all"']},
        "s1._domainkey.example.org": {"TXT": ['"' + "x" * 250 + '" "' + "y" * 250 + '"']},
    }
    write_json(tmp_path / ZONE, zone)
    return Nameserver(tmp_path, Names("mx1.example.org"))


def ask(nameserver: Nameserver, name: str, rdtype: str) -> dns.message.Message:
    reply = nameserver.answer(dns.message.make_query(name, rdtype).to_wire())
    assert reply is not None
    return dns.message.from_wire(reply)


def values(reply: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in reply.answer for record in rrset]


@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        ("mx1.example.org", "A", ["192.0.2.10"]),
        ("mx1.example.org", "AAAA", ["2001:db8::10"]),
        ("example.org", "MX", ["10 mx1.example.org."]),
        ("EXAMPLE.org", "TXT", ['"v=spf1 mx -all"']),
        ("example.org", "A", []),
        ("partner.example", "MX", ["10 mx.partner.example."]),
        ("mx.partner.example", "MX", []),
        ("partner.example", "TXT", []),
        ("10.2.0.192.in-addr.arpa", "PTR", ["mx1.example.org."]),
        ("77.2.0.192.in-addr.arpa", "PTR", ["192-0-2-77.client.example."]),
        ("192-0-2-77.client.example", "A", ["192.0.2.77"]),
    ],
)
def test_answers(nameserver: Nameserver, name: str, rdtype: str, expected: list[str]) -> None:
    reply = ask(nameserver, name, rdtype)
    assert reply.rcode() == dns.rcode.NOERROR
    assert values(reply) == expected


@pytest.mark.parametrize(
    "name", ["nowhere.invalid", "_dmarc.partner.example", "not-an-address.in-addr.arpa", "77.2.0.192.zen.list.example"]
)
def test_names_that_do_not_exist(nameserver: Nameserver, name: str) -> None:
    assert ask(nameserver, name, "A").rcode() == dns.rcode.NXDOMAIN


def test_the_zone_may_change_while_it_is_served(nameserver: Nameserver, tmp_path: Path) -> None:
    write_json(tmp_path / ZONE, {"example.org": {"A": ["192.0.2.99"]}})
    assert values(ask(nameserver, "example.org", "A")) == ["192.0.2.99"]


def test_an_answer_too_large_for_udp_says_so(nameserver: Nameserver) -> None:
    query = dns.message.make_query("s1._domainkey.example.org", "TXT").to_wire()
    short = nameserver.answer(query, 512)
    assert short is not None
    assert len(short) <= 512
    assert dns.message.from_wire(short).flags & dns.flags.TC
    assert len(values(ask(nameserver, "s1._domainkey.example.org", "TXT"))) == 1


@pytest.mark.parametrize("noise", [b"", b"\x00", b"\xff" * 40, b"\x00" * 12])
def test_what_is_no_query_gets_no_answer(nameserver: Nameserver, noise: bytes) -> None:
    assert nameserver.answer(noise) is None
