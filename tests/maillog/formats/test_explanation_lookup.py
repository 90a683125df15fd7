"""What replies mean: the data is consistent, the lookup picks the most specific entry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.maillog.explain import explain, group_by_cause
from mailctl.maillog.explain.lookup import _causes, _codes, _wordings
from mailctl.maillog.report import Row

REPLIES = [
    ("550-5.7.26 Unauthenticated email from x.example is not accepted due to domain's DMARC policy. - gsmtp",
     "Gmail", "authentication"),
    ("421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address", "Gmail",
     "rate"),
    ("421 4.7.30 rate limited because DKIM did not pass - gsmtp", "Gmail", "authentication"),
    ("550-5.7.25 The sending IP does not have a PTR record - gsmtp", "Gmail", "reverse-dns"),
    ("552 5.2.2 The email account that you tried to reach is over quota - gsmtp", "Gmail", "mailbox-full"),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "Microsoft", "reputation"),
    ("550 5.7.515 Access denied, sending domain x does not meet the required authentication level", "Microsoft",
     "authentication"),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider "
     "since part of their network is on our block list (S3140).", "Microsoft", "reputation"),
    ("451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation", "Microsoft",
     "rate"),
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "Microsoft", "unknown-recipient"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
     "Yahoo", "rate"),
    ("553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1", "Yahoo", "reputation"),
    ("554 5.7.9 Message not accepted for policy reasons", "Yahoo", "content"),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org", "Spamhaus",
     "reputation"),
    ("554 5.7.1 blocked using zen.spamhaus.org; Error: open resolver; 127.255.255.254", "Spamhaus", "local-system"),
    ("550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in virtual mailbox table", "",
     "unknown-recipient"),
    ("554 5.7.1 <x@y.example>: Relay access denied", "", "relay-denied"),
    ("553 5.7.1 <b@o.example>: Sender address rejected: not owned by user a@o.example", "", "identity"),
    ("450 4.1.8 <u@x.example>: Sender address rejected: Domain not found", "", "sender-address"),
    ("450 4.2.0 <x@y.example>: Recipient address rejected: Greylisted, see ...", "", "greylisting"),
    ("connect to mx.example[192.0.2.1]:25: Connection timed out", "", "network"),
    ("Host or domain name not found. Name service error for name=x.example type=MX: Host not found", "", "dns"),
    ("mail for x.example loops back to myself", "", "loop"),
    ("451 4.3.5 Server configuration error", "", "local-system"),
    ("452 4.2.2 Quota exceeded (mailbox for user is full)", "", "mailbox-full"),
    ("535 5.7.8 Error: authentication failed", "", "login"),
    ("521 5.2.1 will not accept delivery of this message", "", "mailbox-disabled"),
    ("556", "", "dns"),
    ("5.7.23", "", "authentication"),
    ("250 2.0.0 Ok: queued as 4F", "", "success"),
    ("hello", "", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "provider", "cause"), REPLIES, ids=[reply[:40] for reply, _, _ in REPLIES])
def test_a_known_reply_has_its_cause(reply: str, provider: str, cause: str) -> None:
    found = explain(reply)
    assert (found.provider, found.cause.name) == (provider, cause)
    assert found.meaning
    assert found.next_step


def test_every_entry_names_a_cause_that_exists_and_a_source() -> None:
    named = {wording.cause for wording in _wordings()}
    named |= {cause for section in ("reply", "enhanced") for _, cause in _codes()[section].values()}
    assert named <= set(_causes())
    assert all(wording.source.startswith("https://") for wording in _wordings())
    assert all(wording.any or wording.code for wording in _wordings())
    assert all(phrase == phrase.lower() for wording in _wordings() for phrase in wording.any + wording.marker)


def test_every_code_of_the_registry_up_to_7_30_is_known() -> None:
    # The highest detail of each subject, https://www.iana.org/assignments/smtp-enhanced-status-codes (2024-12-06).
    highest = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
    wanted = {f"{subject}.{detail}" for subject, last in highest.items() for detail in range(last + 1)}
    assert set(_codes()["enhanced"]) == wanted


@pytest.mark.parametrize(
    ("text", "reply", "enhanced"),
    [
        ("host mx[192.0.2.250] said: 550-5.1.1 no", "550", "5.1.1"),
        ("connect to 5.7.1.9 failed", "", ""),
        ("relay=mx[2001:db8::550]:25 421 busy", "421", ""),
        ("#5.1.1 bad", "", "5.1.1"),
        ("took 4.5.6.7 and 554 5.7.1 refused", "554", "5.7.1"),
        ("dsn=4.4.1, status", "", "4.4.1"),
    ],
)
def test_codes_are_told_from_addresses_and_ports(text: str, reply: str, enhanced: str) -> None:
    found = explain(text)
    assert (found.reply, found.enhanced) == (reply, enhanced)


def test_permanence_comes_from_the_first_digit() -> None:
    assert explain("550 5.1.1 no").is_permanent is True
    assert explain("450 later").is_permanent is False
    assert explain("Connection timed out").is_permanent is None


def test_rows_are_grouped_by_cause_with_the_largest_first() -> None:
    rows = (Row("550 5.1.1 User unknown", 3), Row("Connection refused", 4), Row("Connection timed out", 2))
    groups = [(cause.name, [row.messages for row in found]) for cause, found in group_by_cause(rows)]
    assert groups == [("network", [4, 2]), ("unknown-recipient", [3])]


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    found = explain(text)
    assert found.cause.name in _causes()
    assert re.fullmatch(r"|[2-5]\d\d", found.reply)
