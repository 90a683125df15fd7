"""Nothing a stranger can publish makes a check fail with an exception, hang, or reach the terminal as it is."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailctl.dkim.tags import key_bytes, parse_tags, rsa_bits
from mailctl.dns.answer import LONGEST_VALUE, Answer, Outcome, Question, harmless
from mailctl.dns.check import check_domains
from mailctl.dns.facts import Facts
from mailctl.dns.spf import Evaluation
from mailctl.dns.spf_record import PermError, parse_spf
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from tests.dns.conftest import FOLDER

VERSIONS = ("v=spf1", "v=DKIM1", "v=DMARC1", "v=STSv1", "v=TLSRPTv1")
TAGS = ("p=", "p=reject", "rua=mailto:a@b", "id=1", "k=rsa", "=", ";", ":", " ", "\t", "\x1b[2J", "\x00")
MECHANISMS = ("all", "-all", "ip4:", "ip6:", "1.2.3.4", "::1", "/33", "//129", "a:", "mx", "include:", "exists:")
NAMES = ("redirect=", "example.org", "%{", "%{i}", "%{d2r-}", "%{l99999999999r.}", "}")
SHORT_KEY = "MDwwDQYJKoZIhvcNAQEBBQADKwAwKAIhALr4mVZ3mS0xZ0m8k1QkV1rRzFz3b0m8k1QkV1rRzFz3AgMBAAE="
WORDS = st.sampled_from((*VERSIONS, *TAGS, *MECHANISMS, *NAMES))
TEXTS = st.one_of(
    st.lists(WORDS, max_size=12).map("".join), st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=80)
)


@given(st.one_of(st.binary(max_size=6000), st.text(max_size=6000)))
def test_every_value_becomes_printable_and_short(raw: bytes | str) -> None:
    value = harmless(raw)
    assert value.isprintable()
    # An escape takes ten characters at most.
    assert len(value) <= 10 * LONGEST_VALUE + len("[cut]")


@given(TEXTS)
def test_spf_is_read_or_refused_with_a_reason(text: str) -> None:
    with suppress(PermError):
        parse_spf(f"v=spf1 {harmless(text)}")


@given(TEXTS)
def test_tags_are_read_or_refused_with_a_reason(text: str) -> None:
    with suppress(ValueError):
        key_bytes(parse_tags(text).get("p", ""))


def test_a_short_key_is_measured() -> None:
    assert rsa_bits(base64.b64decode(SHORT_KEY)) == 256


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 255))
def test_keys_are_measured_or_refused_with_a_reason(noise: bytes, place: int, byte: int) -> None:
    der = bytearray(
        base64.b64decode("MDwwDQYJKoZIhvcNAQEBBQADKwAwKAIhALr4mVZ3mS0xZ0m8k1QkV1rRzFz3b0m8k1QkV1rRzFz3AgMB")
    )
    der[place % len(der)] = byte
    for each in (noise, bytes(der), bytes(der[:place])):
        with suppress(ValueError):
            assert rsa_bits(each) >= 0


class Strangers:
    """A resolver whose every TXT record is written by a stranger."""

    def __init__(self, text: str) -> None:
        self.asked = 0
        self._values = {
            "TXT": (harmless(text),),
            "MX": ("10 mx1.example.org",),
            "A": ("1.2.3.4",),
            "PTR": (harmless(text),),
        }

    def ask(self, name: str, rdtype: str) -> Answer:
        self.asked += 1
        values = self._values.get(rdtype, ())
        return Answer(Question(name, rdtype), Outcome.FOUND if values else Outcome.NXDOMAIN, values, canonical=name)

    def ask_all(self, questions: object) -> None:
        """Nothing is known beforehand."""


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_spec(FOLDER / "good.yml")


@settings(deadline=None, max_examples=150)
@given(TEXTS)
def test_whatever_they_publish_there_is_a_verdict(spec: Spec, text: str) -> None:
    verdicts = check_domains(spec, Facts((spec.server,)), Strangers(text))
    assert all(f"{each.found}{each.hint}{each.name}".isprintable() for each in verdicts)


@settings(deadline=None, max_examples=150)
@given(TEXTS)
def test_an_evaluation_ends(text: str) -> None:
    strangers = Strangers(f"v=spf1 {text}")
    with suppress(PermError):
        Evaluation(strangers.ask).of_text("example.org", f"v=spf1 {harmless(text)}")
    assert strangers.asked < 1000
