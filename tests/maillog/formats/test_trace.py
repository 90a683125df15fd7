"""The life of a message from the lines of a log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.maillog.formats import jsonl
from mailctl.maillog.trace import Kind, Trace, trace
from mailctl.maillog.trace.json import as_json
from mailctl.maillog.trace.lines import message_steps
from mailctl.maillog.trace.lives import follow_lives, lives_of
from mailctl.maillog.trace.steps import step_of
from mailctl.maillog.trace.text import render

# A login sends to a mailbox through a content filter, to a forward that bounces, and to a slow domain.
LOG = b"""\
2026-03-01T10:00:00+00:00 mx postfix/submission/smtpd[10]: A00000000001: client=home.example[192.0.2.7], \
sasl_method=PLAIN, sasl_username=ali@example.org
2026-03-01T10:00:00+00:00 mx postfix/cleanup[11]: A00000000001: message-id=<m1@example.org>
2026-03-01T10:00:00+00:00 mx opendkim[12]: A00000000001: DKIM-Signature field added (s=s2026a, d=example.org)
2026-03-01T10:00:00+00:00 mx postfix/qmgr[13]: A00000000001: from=<ali@example.org>, size=1500, nrcpt=3 (queue active)
2026-03-01T10:00:01+00:00 mx postfix/smtpd[20]: B00000000002: client=localhost[127.0.0.1], \
orig_queue_id=A00000000001, orig_client=home.example[192.0.2.7]
2026-03-01T10:00:01+00:00 mx postfix/cleanup[11]: B00000000002: message-id=<m1@example.org>
2026-03-01T10:00:01+00:00 mx postfix/qmgr[13]: B00000000002: from=<ali@example.org>, size=1600, nrcpt=1 (queue active)
2026-03-01T10:00:01+00:00 mx postfix/smtp[14]: A00000000001: to=<bob@example.org>, relay=127.0.0.1[127.0.0.1]:10024, \
delay=1, delays=0.1/0/0.1/0.8, dsn=2.0.0, status=sent (250 2.0.0 from MTA: 250 2.0.0 Ok: queued as B00000000002)
2026-03-01T10:00:02+00:00 mx postfix/lmtp[15]: B00000000002: to=<bob@example.org>, relay=mx[private/dovecot-lmtp], \
delay=0.5, delays=0.1/0/0/0.4, dsn=2.0.0, status=sent (250 2.0.0 <bob@example.org> x Saved)
2026-03-01T10:00:02+00:00 mx dovecot: lmtp(bob@example.org)<99><x>: msgid=<m1@example.org>: saved mail to INBOX
2026-03-01T10:00:02+00:00 mx postfix/qmgr[13]: B00000000002: removed
2026-03-01T10:00:03+00:00 mx postfix/smtp[14]: A00000000001: to=<eve@far.example>, orig_to=<team@example.org>, \
relay=mx.far.example[198.51.100.5]:25, delay=3, delays=0.1/0/1/1.9, dsn=5.1.1, status=bounced (host \
mx.far.example[198.51.100.5] said: 550 5.1.1 <eve@far.example>: Recipient address rejected: User unknown \
(in reply to RCPT TO command))
2026-03-01T10:00:03+00:00 mx postfix/cleanup[11]: C00000000003: message-id=<20260301.C00000000003@mx>
2026-03-01T10:00:03+00:00 mx postfix/bounce[16]: A00000000001: sender non-delivery notification: C00000000003
2026-03-01T10:00:03+00:00 mx postfix/qmgr[13]: C00000000003: from=<>, size=3000, nrcpt=1 (queue active)
2026-03-01T10:00:04+00:00 mx postfix/lmtp[15]: C00000000003: to=<ali@example.org>, relay=mx[private/dovecot-lmtp], \
delay=0.5, delays=0.1/0/0/0.4, dsn=2.0.0, status=sent (250 2.0.0 Saved)
2026-03-01T10:00:04+00:00 mx postfix/qmgr[13]: C00000000003: removed
2026-03-01T10:00:05+00:00 mx postfix/smtp[14]: A00000000001: to=<z@slow.example>, relay=none, delay=5, \
delays=0.1/0/4.9/0, dsn=4.4.1, status=deferred (connect to mx.slow.example[198.51.100.9]:25: Connection timed out)
2026-03-01T11:00:00+00:00 mx postfix/smtpd[10]: D00000000004: client=other.example[192.0.2.9]
2026-03-01T11:00:00+00:00 mx postfix/cleanup[11]: D00000000004: message-id=<unrelated@other.example>
2026-03-01T11:00:00+00:00 mx postfix/qmgr[13]: D00000000004: from=<x@other.example>, size=10, nrcpt=1 (queue active)
2026-03-01T11:00:01+00:00 mx postfix/lmtp[15]: D00000000004: to=<carol@example.org>, relay=mx[private/dovecot-lmtp], \
delay=0.5, delays=0.1/0/0/0.4, dsn=2.0.0, status=sent (250 2.0.0 <carol@example.org> eve@far.example Saved)
2026-03-01T11:00:02+00:00 mx postfix/qmgr[13]: D00000000004: removed
2026-03-01T12:00:00+00:00 mx postfix/smtpd[10]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 \
<eve@far.example>: Relay access denied; from=<s@s.example> to=<eve@far.example> proto=ESMTP helo=<h>
2026-03-01T13:00:00+00:00 mx postfix/smtpd[10]: B00000000002: client=reuse.example[192.0.2.10]
2026-03-01T13:00:00+00:00 mx postfix/cleanup[11]: B00000000002: message-id=<reused@reuse.example>
2026-03-01T13:00:00+00:00 mx postfix/qmgr[13]: B00000000002: removed
"""


def find(key: str, log: bytes = LOG, most: int = 10) -> Trace:
    return trace(lambda: [log], key, most)


def ids(found: Trace) -> list[str]:
    return [life.queue_id for life in found.lives]


@pytest.mark.parametrize("key", ["A00000000001", "a00000000001", " A00000000001 "])
def test_a_queue_id_brings_all_that_belongs_to_the_message(key: str) -> None:
    found = find(key)
    assert ids(found) == ["A00000000001", "B00000000002", "C00000000003"]
    message, reinjected, bounce = found.lives
    assert [step.kind for step in message.steps] == [
        *(Kind.ACCEPTED, Kind.IDENTIFIED, Kind.SIGNED, Kind.QUEUED),
        *(Kind.DELIVERED, Kind.BOUNCED, Kind.NOTICE, Kind.DEFERRED),
    ]
    assert not message.is_over
    assert Kind.STORED in [step.kind for step in reinjected.steps]
    assert reinjected.value("message_id") == "<m1@example.org>"
    assert bounce.is_over


def test_the_same_message_is_found_from_its_bounce_and_its_reinjection() -> None:
    assert ids(find("C00000000003")) == ids(find("A00000000001"))


def test_a_message_id_is_found_with_and_without_brackets() -> None:
    assert ids(find("<m1@example.org>")) == ids(find("m1@example.org")) == ids(find("A00000000001"))


def test_an_address_finds_mail_and_refusals_but_not_words_of_others() -> None:
    found = find("eve@far.example")
    assert "D00000000004" not in ids(found)
    assert ids(found) == ["A00000000001", "B00000000002", "C00000000003", ""]
    assert found.lives[-1].steps[0].kind is Kind.REFUSED


def test_an_id_that_is_used_again_is_another_message() -> None:
    lives = [life for life in find("B00000000002").lives if life.queue_id == "B00000000002"]
    assert [life.value("message_id") for life in lives] == ["<m1@example.org>", "<reused@reuse.example>"]
    assert [len(find("m1@example.org").lives), len(find("reused@reuse.example").lives)] == [3, 1]


def test_only_the_latest_messages_of_an_address_are_shown_and_the_rest_counted() -> None:
    log = b"".join(
        b"2026-03-01T10:00:%02d+00:00 mx postfix/qmgr[1]: F0000000000%X: from=<a@b.example>, size=1, nrcpt=1 "
        b"(queue active)\n" % (number, number)
        for number in range(10)
    )
    found = find("a@b.example", log, most=3)
    assert ids(found) == ["F00000000007", "F00000000008", "F00000000009"]
    assert found.omitted == 7
    assert "latest of 10 messages" in render(found, 100)


def test_nothing_is_found_of_what_is_not_there() -> None:
    for key in ("nobody@nowhere.example", "", "<>", "FFFFFFFFFFFF"):
        assert find(key).lives == ()


def test_the_timeline_tells_who_when_where_why_and_what_next() -> None:
    text = render(find("A00000000001"), 140)
    for words in (
        "A00000000001  on mx  <m1@example.org>  1.5 kB",
        "accepted   from home.example[192.0.2.7] logged in as ali@example.org by PLAIN",
        "signed     for example.org with selector s2026a",
        "bounced    <eve@far.example> (for <team@example.org>) by mx.far.example[198.51.100.5]:25 after 3 s",
        "0.1 s before the queue manager, 1 s connecting, 1.9 s sending",
        "notice     sender non-delivery notification: C00000000003",
        "re-injected, was A00000000001",
        "saved mail to INBOX",
        "still in the queue",
        "→ the receiving server does not know the address",
    ):
        assert words in text
    assert max(map(len, render(find("A00000000001"), 100).splitlines())) <= 100


def test_json_has_fields_and_causes() -> None:
    steps = as_json(find("A00000000001"))["messages"][0]["steps"]
    bounced = next(step for step in steps if step["kind"] == "bounced")
    assert bounced["cause"] == "unknown-recipient"
    assert bounced["fields"]["recipient"] == "eve@far.example"
    assert bounced["fields"]["dsn"] == "5.1.1"
    assert bounced["stamp"] == "2026-03-01T10:00:03+00:00"


def test_jsonl_has_a_line_for_each_message_and_refusal() -> None:
    rows = [json.loads(line) for line in jsonl.render(follow_lives(message_steps([LOG])))]
    assert sorted(row["queue_id"] for row in rows) == [
        *("", "A00000000001", "B00000000002", "B00000000002", "C00000000003", "D00000000004")
    ]
    assert [row["queue_id"] for row in rows][-1] == "A00000000001"


def test_forged_fields_inside_a_reply_or_helo_change_nothing() -> None:
    log = (
        b"Mar  1 10:00:00 mx postfix/smtp[1]: ABCDEF0123: to=<x@y.example>, relay=r[192.0.2.1]:25, delay=1, "
        b"delays=0/0/0/1, dsn=5.0.0, status=bounced (said: 550 to=<ali@z>, relay=q, dsn=2.0.0, status=sent (250))\n"
    )
    step = find("ABCDEF0123", log).lives[0].steps[0]
    assert step.kind is Kind.BOUNCED
    assert step.fields["recipient"] == "x@y.example"
    assert find("ali@z", log).lives == ()


def test_escape_sequences_are_shown_not_sent() -> None:
    log = LOG.replace(b"User unknown", b"\x1b]0;owned\x07\xff\xe2\x80\xae")
    found = find("A00000000001", log)
    assert render(found, 100).replace("\n", "").isprintable()
    assert [line for line in jsonl.render(found.lives) if not line.isprintable()] == []


def test_stamps_of_both_kinds_and_any_syslog_name_are_read() -> None:
    for raw in (
        b"Mar  1 10:00:00 mx postfix-out/smtp[1]: ABCDEF0123: removed",
        b"2026-03-01T10:00:00.123456Z mx postfix/relay/smtp[1]: 4FxBCDFGHz1J: removed",
    ):
        step = step_of(raw)
        assert step is not None
        assert (step.line.daemon, step.line.queue_id[:3]) in {("smtp", "ABC"), ("smtp", "4Fx")}


PIECES = st.sampled_from([*LOG.splitlines(keepends=True), b"\n", b"\xff\x00", b"queued as A00000000001 ", b"removed\n"])


@given(st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=30), st.sampled_from(["A00000000001", "a@b", "("]))
def test_no_log_makes_it_raise(pieces: list[bytes], key: str) -> None:
    log = b"".join(pieces)
    found = find(key, log)
    assert isinstance(render(found, 80), str)
    lives = lives_of(message_steps([log]))
    assert sum(len(life.steps) for life in lives) == sum(1 for _ in message_steps([log]))


def test_blocks_are_read_anew_for_each_pass() -> None:
    def blocks() -> Iterator[bytes]:
        half = LOG.index(b"\n", len(LOG) // 2) + 1
        yield LOG[:half]
        yield LOG[half:]

    assert ids(trace(blocks, "A00000000001")) == ids(find("A00000000001"))
