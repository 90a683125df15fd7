"""Verdicts on signatures: good ones, bad ones with their reason, and what nobody would call a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailctl.dkim.arc import verify_arc
from mailctl.dkim.message import LARGEST_MESSAGE
from mailctl.dkim.public_key import KeyAnswer
from mailctl.dkim.signature import Alignment, BodyHash, Signature, Verdict, Verification, problems_of
from mailctl.dkim.verify import verify_message
from mailctl.dns.suffix import organisational_domain
from mailctl.errors import MailctlError
from tests.dkim.signer import MESSAGE, Signer

# dkimpy has no other clock than the machine's.
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def stamp(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def verify(content: bytes, record: str | KeyAnswer) -> Verification:
    answer = KeyAnswer(record) if isinstance(record, str) else record
    return verify_message(content, lambda name: answer, NOW, organisational_domain)


def complaint(look: Callable[[], object]) -> str:
    """What is said where there is no verdict."""
    try:
        look()
    except MailctlError as error:
        return error.message
    return ""


def only(content: bytes, record: str | KeyAnswer) -> Signature:
    (signature,) = verify(content, record).signatures
    return signature


@pytest.mark.parametrize(
    "canonicalization", ["relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed", "simple", None]
)
def test_a_good_signature(signer: Signer, canonicalization: str | None) -> None:
    found = only(signer.sign(c=canonicalization), signer.record)
    assert found.reason == ""
    assert (found.verdict, found.body_hash, found.alignment) == (Verdict.PASS, BodyHash.OK, Alignment.STRICT)
    assert (found.domain, found.selector, found.algorithm, found.bits) == ("example.org", "s1", "rsa-sha256", 2048)
    assert found.fields == ("from", "to", "subject")


@pytest.mark.parametrize(
    ("tags", "verdict", "reason"),
    [
        ({"x": stamp(NOW - timedelta(seconds=1))}, Verdict.FAIL, "it expired"),
        ({"x": stamp(NOW - 9 * HOUR)}, Verdict.FAIL, "it expired"),
        ({"t": stamp(NOW + HOUR)}, Verdict.PERMERROR, "in the future"),
        ({"t": stamp(NOW), "x": stamp(NOW - HOUR)}, Verdict.FAIL, "it expired"),
        ({"x": "soon"}, Verdict.PERMERROR, "x= tag is no time"),
        ({"x": "9" * 40}, Verdict.PERMERROR, "x= tag is no time"),
        ({"t": "٣"}, Verdict.PERMERROR, "t= tag is no time"),
        ({"h": "to:subject"}, Verdict.PERMERROR, "does not sign From"),
        ({"a": "rsa-sha1"}, Verdict.PERMERROR, "RFC 8301"),
        ({"a": "rsa-sha512"}, Verdict.PERMERROR, "unknown"),
        ({"a": "ed25519-sha256"}, Verdict.PERMERROR, "type 'rsa'"),
        ({"v": None}, Verdict.PERMERROR, "no v= tag"),
        ({"d": None}, Verdict.PERMERROR, "no d= tag"),
        ({"bh": "!!!"}, Verdict.PERMERROR, "bh= tag is no base64"),
        ({"bh": "AAAA"}, Verdict.FAIL, "the body was changed"),
        ({"l": "99999"}, Verdict.FAIL, "more than the body has"),
        ({"l": ""}, Verdict.PERMERROR, "l= tag is no number"),
        ({"i": "ali@example.com"}, Verdict.PERMERROR, "i="),
        ({"q": "http"}, Verdict.PERMERROR, "q="),
        ({"v": "2"}, Verdict.PERMERROR, "v= value is not 1"),
    ],
)  # fmt: skip
def test_a_bad_signature_and_why(signer: Signer, tags: dict[str, str | None], verdict: Verdict, reason: str) -> None:
    found = only(signer.sign(**tags), signer.record)
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_a_canonicalization_nobody_knows(signer: Signer) -> None:
    content = signer.sign().replace(b"c=relaxed/relaxed", b"c=loose/strict")
    assert "canonicalization 'loose/strict' is unknown" in only(content, signer.record).reason


def test_a_signature_that_is_not_due_to_expire_is_fine(signer: Signer) -> None:
    found = only(signer.sign(t=stamp(NOW), x=stamp(NOW + HOUR)), signer.record)
    assert found.verdict is Verdict.PASS
    assert found.expires is not None
    assert found.signed is not None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Hello", b"Hallo", "the body was changed"),
        (b"a word", b"[list] a word", "a signed field of the header was changed"),
        (b"\r\n\r\nHello", b"\r\nFrom: x@example.com\r\n\r\nHello", "a signed field of the header was changed"),
    ],
    ids=["body", "subject", "second From"],
)
def test_what_was_changed_on_the_way(signer: Signer, old: bytes, new: bytes, reason: str) -> None:
    found = only(signer.sign(h="from:from:to:subject").replace(old, new), signer.record)
    assert (found.verdict, reason in found.reason) == (Verdict.FAIL, True), found.reason


def test_the_key_of_somebody_else(signer: Signer) -> None:
    assert "another key signed it" in only(signer.sign(), Signer().record).reason


@pytest.mark.parametrize(
    ("record", "verdict", "reason"),
    [
        (KeyAnswer(problem="nxdomain"), Verdict.PERMERROR, "no public key at s1._domainkey.example.org: nxdomain"),
        (KeyAnswer(problem="timeout", is_temporary=True), Verdict.TEMPERROR, "timeout"),
        ("v=DKIM1; p=", Verdict.PERMERROR, "revoked"),
        ("v=DKIM1; k=rsa", Verdict.PERMERROR, "no p= tag"),
        ("v=DKIM2; p=AAAA", Verdict.PERMERROR, "another version"),
        ("v=DKIM1; p=AAAA; p=BBBB", Verdict.PERMERROR, "the tag p= is there twice"),
        ("v=DKIM1; nonsense; p=AAAA", Verdict.PERMERROR, "'nonsense' is no tag=value"),
        ("v=DKIM1; k=rsa; p=AAAA", Verdict.PERMERROR, "p= holds no"),
        ("v=DKIM1; k=rsa; p=*!", Verdict.PERMERROR, "p= is not base64"),
        ("v=DKIM1; k=dsa; p=AAAA", Verdict.PERMERROR, "type 'dsa'"),
        ("v=DKIM1; k=rsa; p=" + "A" * 9000, Verdict.PERMERROR, "longer than"),
        ("v=DKIM1; h=sha1; p={key}", Verdict.PERMERROR, "not for sha256"),
        ("v=DKIM1; s=tlsrpt; p={key}", Verdict.PERMERROR, "not for mail"),
    ],
)  # fmt: skip
def test_a_bad_key_record_and_why(signer: Signer, record: str | KeyAnswer, verdict: Verdict, reason: str) -> None:
    record = record.replace("{key}", signer.key) if isinstance(record, str) else record
    found = only(signer.sign(), record)
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_a_key_under_1024_bits_counts_for_nothing_and_one_under_2048_is_noted() -> None:
    short, weak = Signer(768), Signer(1024)
    assert "768 bits" in only(short.sign(), short.record).reason
    found = only(weak.sign(), weak.record)
    assert found.verdict is Verdict.PASS
    assert "only 1024 bits" in found.notes[0]


def test_what_a_reader_should_know_of_a_valid_signature(signer: Signer) -> None:
    found = only(signer.sign(l="5"), f"{signer.record}; t=y")
    assert found.verdict is Verdict.PASS
    assert any("anybody can add" in note for note in found.notes)
    assert any("only tests DKIM" in note for note in found.notes)


def test_a_key_for_its_own_domain_only(signer: Signer) -> None:
    content = signer.sign(i="ali@sub.example.org")
    assert only(content, signer.record).verdict is Verdict.PASS
    assert "i=" in only(content, f"{signer.record}; t=s").reason


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.org", Alignment.STRICT),
        ("EXAMPLE.org", Alignment.STRICT),
        ("mail.example.org", Alignment.RELAXED),
        ("org", Alignment.NONE),
        ("notexample.org", Alignment.NONE),
        ("lists.example.com", Alignment.NONE),
        ("sister.example.org", Alignment.RELAXED),
    ],
)
def test_alignment_with_the_author(signer: Signer, domain: str, expected: Alignment) -> None:
    found = only(signer.sign(d=domain), signer.record)
    assert (found.verdict, found.alignment) == (Verdict.PASS, expected)


def test_a_public_suffix_is_no_organisation(signer: Signer) -> None:
    content = signer.sign(MESSAGE.replace(b"example.org", b"example.co.uk"), d="other.co.uk")
    assert only(content, signer.record).alignment is Alignment.NONE
    content = signer.sign(MESSAGE.replace(b"example.org", b"a.example.co.uk"), d="b.example.co.uk")
    assert only(content, signer.record).alignment is Alignment.RELAXED


def test_two_authors_align_with_nobody(signer: Signer) -> None:
    content = signer.sign(b"From: a@example.org, b@example.com\r\n\r\nx\r\n", h="from")
    found = verify(content, signer.record)
    assert found.signatures[0].alignment is Alignment.NONE
    assert "several domains" in "".join(problems_of(found))


def test_one_of_several_signatures_is_enough(signer: Signer) -> None:
    content = signer.sign(signer.sign(d="lists.example.net", s="k9", x=stamp(NOW - HOUR)))
    found = verify(content, signer.record)
    assert [each.verdict for each in found.signatures] == [Verdict.PASS, Verdict.FAIL]
    assert found.is_verified


def test_a_message_without_a_signature(signer: Signer) -> None:
    found = verify(MESSAGE, signer.record)
    assert not found.is_verified
    assert list(problems_of(found)) == ["the message is not signed"]


def test_a_crowd_of_signatures_is_not_looked_at(signer: Signer) -> None:
    asked = []
    content = b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=AAAA; b=AAAA\r\n" * 1000 + MESSAGE
    found = verify_message(
        content, lambda name: asked.append(name) or KeyAnswer(signer.record), NOW, organisational_domain
    )
    assert (len(found.signatures), found.unread, len(asked)) == (10, 990, 0)


def test_a_chain_of_seals_is_read(signer: Signer) -> None:
    once = signer.seal(signer.sign(), "lists.example", 1)
    twice = signer.seal(once, "relay.example", 2)
    for content, sealed_by in ((once, ("lists.example",)), (twice, ("lists.example", "relay.example"))):
        found = verify_arc(content, lambda name: KeyAnswer(signer.record))
        assert found is not None
        assert (found.verdict, found.reason, found.sealed_by) == ("pass", "", sealed_by)


def test_a_broken_chain_fails(signer: Signer) -> None:
    sealed = signer.seal(signer.sign(), "lists.example", 1)
    changed = verify_arc(sealed.replace(b"Hello", b"Hallo"), lambda name: KeyAnswer(signer.record))
    unknown = verify_arc(sealed, lambda name: KeyAnswer(problem="nxdomain"))
    assert changed is not None
    assert unknown is not None
    assert (changed.verdict, unknown.verdict) == ("fail", "fail")
    assert changed.reason
    assert verify_arc(signer.sign(), lambda name: KeyAnswer(signer.record)) is None


def test_line_feeds_alone_are_line_ends_as_in_a_file(signer: Signer) -> None:
    assert only(signer.sign().replace(b"\r\n", b"\n"), signer.record).verdict is Verdict.PASS


def test_words_of_strangers_are_harmless(signer: Signer) -> None:
    content = signer.sign(d="\x1b[31mexample.org", s="s\u202e1")
    found = only(content, signer.record)
    assert "\x1b" not in repr(found).replace("\\x1b", "")
    assert found.domain.isprintable()
    assert found.selector.isprintable()


SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=x.example; s=s; h=from; bh=AAAA; b="
TAGS = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.b; s=s; bh=AAAA; b=AAAA"
BLANKS = b" " * 2_000_000
HOSTILE = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "a line that continues nothing": b" x\r\n\r\n",
    "no header": b"\r\nbody\r\n",
    "bytes": bytes(range(256)) * 40,
    "binary field names": b"\xff\xfe: x\r\n\r\n",
    "one long field": b"X: " + b"a" * 300_000 + b"\r\n\r\n",
    "many continuation lines": b"X: a\r\n" + b" b\r\n" * 200_000 + b"\r\n",
    "many fields": b"X: a\r\n" * 200_000 + b"\r\n",
    "a long signature": SIGNATURE + b"A" * 50_000 + b"\r\n" + MESSAGE,
    "blanks in a signature": SIGNATURE + b" \t" * 4000 + b"!\r\n" + MESSAGE,
    "folds in a signature": SIGNATURE + b"\r\n " * 2600 + b"!\r\n" + MESSAGE,
    "colons in h": TAGS + b"; h=from" + b" :" * 3900 + b"\r\n" + MESSAGE,
    "no tags": b"DKIM-Signature:\r\n" + MESSAGE,
    "semicolons": b"DKIM-Signature: " + b";" * 8000 + b"\r\n" + MESSAGE,
    "no text in tags": TAGS.replace(b"a.b", b"\xff\xfe") + b"; h=from\r\n" + MESSAGE,
    "a From without end": b"From: " + b"(" * 50_000 + b"\r\n" + SIGNATURE + b"AAAA\r\n\r\n",
    "ARC sets": b"".join(b"ARC-Seal: i=%d; cv=none; d=a; s=b; b=AAAA\r\n" % i for i in range(900)) + MESSAGE,
    "an ARC instance of many digits": b"ARC-Seal: i=" + b"9" * 7000 + b"; a=b\r\n" + MESSAGE,
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_no_message_makes_it_fail_otherwise_than_in_words(signer: Signer, content: bytes) -> None:
    """Nor takes it long: each of these ends in well under a second; quadratic work would take hours."""
    started = time.process_time()
    for look in (verify, lambda given, record: verify_arc(given, lambda name: KeyAnswer(record))):
        assert complaint(partial(look, content, signer.record)).isprintable()
    assert time.process_time() - started < 20


@pytest.mark.parametrize("canonicalization", ["relaxed/relaxed", "simple/simple"])
def test_a_body_of_blanks_takes_no_time(signer: Signer, canonicalization: str) -> None:
    content = signer.sign(MESSAGE + b"x" + b" \t" * 20_000 + b"x\r\n", c=canonicalization)
    body = content.replace(b" \t" * 20_000, BLANKS)
    started = time.process_time()
    assert only(content, signer.record).verdict is Verdict.PASS
    assert only(body, signer.record).verdict is (Verdict.PASS if canonicalization[-1] == "d" else Verdict.FAIL)
    assert time.process_time() - started < 20


def test_a_message_of_any_size_ends_in_words(signer: Signer) -> None:
    with pytest.raises(MailctlError, match="larger than 128 MB"):
        verify(bytes(LARGEST_MESSAGE + 1), signer.record)


TAG = st.sampled_from(
    ["v=1", "a=rsa-sha256", "d=example.org", "s=s1", "h=from", "bh=AAAA", "b=AAAA", "l=3", "c=x", "i=@"]
)
NOISE = st.one_of(TAG, st.text(max_size=12), st.sampled_from(["=", ";", "\r\n ", "\x00", "\x1b[1m"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(NOISE, max_size=14), st.binary(max_size=200))
def test_no_signature_raises(parts: list[str], tail: bytes) -> None:
    value = "; ".join(parts).encode("utf-8", "surrogatepass")
    content = b"DKIM-Signature: " + value + b"\r\nFrom: a@example.org\r\n" + tail
    for look in (
        lambda: verify(content, "v=DKIM1; p=AAAA"),
        lambda: verify_arc(content, lambda name: KeyAnswer("p=A")),
    ):
        assert complaint(look).isprintable()
