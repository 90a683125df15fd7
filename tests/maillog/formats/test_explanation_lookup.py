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
    ("connect to mx1.example.org[private/dovecot-lmtp]: Connection refused", "", "local-system"),
    ("connect to mx1.example.org[/run/dovecot/lmtp]: No such file or directory", "", "local-system"),
    ("connect to 127.0.0.1[127.0.0.1]:10024: Connection refused", "", "local-system"),
    ("connect to localhost[::1]:10024: Connection refused", "", "local-system"),
    ("lost connection with mx1[private/dovecot-lmtp] while receiving the initial server greeting", "", "local-system"),
    ("host mx1[private/dovecot-lmtp] said: 451 4.3.0 <a@o.example> Temporary internal error", "", "local-system"),
    ("host mx1[private/dovecot-lmtp] said: 552 5.2.2 <a@o.example> Quota exceeded", "", "mailbox-full"),
    ("host mx.b.example[192.0.2.7] said: 451 4.3.5 Server configuration error", "", "remote-system"),
    ("warning: connect to Milter service unix:opendkim/opendkim.sock: No such file or directory", "", "local-system"),
    ("warning: milter inet:127.0.0.1:8891: can't read SMFIC_OPTNEG reply", "", "local-system"),
    ("fatal: no SASL authentication mechanisms", "", "local-system"),
    ("warning: SASL: Connect to private/auth failed: No such file or directory", "", "local-system"),
    ("fatal: bind 0.0.0.0 port 25: Address already in use", "", "local-system"),
    ("fatal: open database /etc/aliases.db: No such file or directory", "", "local-system"),
    ("warning: database /etc/aliases.db is older than source file /etc/aliases", "", "local-system"),
    ("fatal: main.cf configuration error: mailbox_size_limit is smaller than message_size_limit", "", "local-system"),
    ("hostname x.example does not resolve to address 192.0.2.7: address not listed for hostname", "", "reverse-dns"),
    ("warning: TLS library problem: error:0A000126:SSL routines::unexpected eof while reading:x.c:1:", "", "tls"),
    ("improper command pipelining after EHLO from a[192.0.2.1]: QUIT", "", "protocol"),
    ("534-5.7.9 Application-specific password required. gsmtp", "Gmail", "login"),
    ("550 5.7.509 Access denied, sending domain x.example does not pass DMARC verification", "Microsoft",
     "authentication"),
    ("550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", "Microsoft", "reputation"),
    ("530 5.7.57 Client not authenticated to send mail", "Microsoft", "login"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "Microsoft",
     "login"),
    ("550 SC-001 (BAY004-MC1F) Unfortunately, messages from 192.0.2.1 weren't sent.", "Microsoft", "reputation"),
    ("421 RP-001 (BAY004-MC1F) Unfortunately, some messages from 192.0.2.1 weren't sent.", "Microsoft", "rate"),
    ("550 5.7.1 [CS01] Message rejected due to local policy.", "Apple", "policy"),
    ("554 5.7.1 [HM08] Message rejected due to local policy.", "Apple", "policy"),
    ("554 resimta-po.sys.comcast.net comcast 192.0.2.1 Comcast BL000001 Blocked for spam.", "Comcast", "reputation"),
    ("554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554", "Mimecast",
     "policy"),
    ("550 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "Proofpoint", "reputation"),
    ("550 5.7.999 no", "", "policy"),
    ("550 5.1.99 no", "", "unknown-recipient"),
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


RETRIES = re.compile(r"retr|tries again|tried again|second try|while it waits", re.IGNORECASE)


def test_only_the_advice_for_what_is_retried_says_that_postfix_retries() -> None:
    lasting = [cause.next_step for cause in _causes().values()] + [wording.next for wording in _wordings()]
    assert [step for step in lasting if RETRIES.search(step)] == []
    assert any(RETRIES.search(cause.retried) for cause in _causes().values())


@pytest.mark.parametrize("cause", [name for name, cause in _causes().items() if cause.retried])
def test_a_permanent_answer_is_never_said_to_be_retried(cause: str) -> None:
    details = [detail for detail, (_, name) in _codes()["enhanced"].items() if name == cause]
    words = [phrase for wording in _wordings() if wording.cause == cause and not wording.own for phrase in wording.any]
    for text in [f"550 5.{detail} no" for detail in details] + [f"550 {phrase}" for phrase in words]:
        found = explain(text)
        assert found.is_permanent is True
        assert not RETRIES.search(found.next_step), text
    assert details or words


def test_what_postfix_gave_up_is_not_retried_either() -> None:
    assert RETRIES.search(explain("Connection timed out").next_step)
    assert not RETRIES.search(explain("Connection timed out", given_up=True).next_step)
    assert RETRIES.search(explain("452 4.2.2 mailbox full").next_step)
    assert not RETRIES.search(explain("552 5.2.2 mailbox full").next_step)


def test_a_service_of_this_machine_that_is_down_is_named() -> None:
    lines = {
        "connect to mx1.example.org[private/dovecot-lmtp]: Connection refused": "Dovecot",
        "warning: connect to Milter service unix:opendkim/opendkim.sock: No such file or directory": "OpenDKIM",
        "fatal: no SASL authentication mechanisms": "Dovecot",
        "connect to 127.0.0.1[127.0.0.1]:10024: Connection refused": "filter",
    }
    for line, service in lines.items():
        assert service in explain(line).meaning
        assert "nc HOST" not in explain(line).next_step


def test_what_another_server_says_of_itself_is_not_our_fault() -> None:
    reply = "451 4.3.5 Server configuration error"
    assert explain(reply, is_reply=True).cause.name == "remote-system"
    assert explain("Server configuration error", is_reply=True).cause.name == "local-system"


def test_permanence_comes_from_the_first_digit() -> None:
    assert explain("550 5.1.1 no").is_permanent is True
    assert explain("550 4.2.1 no").is_permanent is True
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
