"""Lists under other names keep their sums and their order."""

from __future__ import annotations

import pytest

from mailctl.maillog.rename import renamed, without_bang_paths, without_case, without_verp
from mailctl.maillog.report import OTHERS, Report, Row


def test_rows_that_get_one_name_become_one() -> None:
    rows = (Row("b@x", 5, 50), Row("A@x", 4, 40), Row("a@x", 3, 30), Row(OTHERS, 1, 10))
    assert renamed(rows, str.upper) == (Row("A@X", 7, 70), Row("B@X", 5, 50), Row(OTHERS, 1, 10))


def test_case_is_ignored_on_request() -> None:
    report = Report(senders=(Row("Bob@x.example", 1), Row("bob@x.example", 1)))
    assert without_case(report).senders == (Row("bob@x.example", 2),)


@pytest.mark.parametrize(
    ("address", "simple", "aggressive"),
    [
        ("list-return-17-bob=some.dom@host.dom", "list-return-ID-bob=some.dom@host.dom", "list-return@host.dom"),
        ("bounce-123.4@news.example", "bounce-ID@news.example", "bounce-ID@news.example"),
        ("bounces-17-x-18@news.example", "bounces-ID-x-18@news.example", "bounces-ID-x-18@news.example"),
        ("7-1-2+3@mail1.host-2.example", "7-ID@mail1.host-2.example", "7-ID@mail1.host-2.example"),
        ("alice@example.org", "alice@example.org", "alice@example.org"),
        ("bob17@example.org", "bob17@example.org", "bob17@example.org"),
    ],
)
def test_verp_senders_become_one(address: str, simple: str, aggressive: str) -> None:
    report = Report(senders=(Row(address, 1),))
    assert without_verp(report, forgets_recipient=False).senders[0].name == simple
    assert without_verp(report, forgets_recipient=True).senders[0].name == aggressive


def test_what_a_uucp_gateway_did_is_undone() -> None:
    report = Report(
        senders=(Row("some.dom!bob@foo", 2, 20), Row("bar!some.dom!bob@foo", 1, 10), Row("a!b@x.example", 1, 5)),
        sender_domains=(Row("foo", 3, 30), Row("x.example", 1, 5)),
    )
    done = without_bang_paths(report)
    assert done.senders == (
        Row("foo!bob@some.dom", 2, 20),
        Row("a!b@x.example", 1, 5),
        Row("foo!bar!bob@some.dom", 1, 10),
    )
    assert done.sender_domains == (Row("some.dom", 3, 30), Row("x.example", 1, 5))
