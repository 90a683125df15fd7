"""Events and messages are put together from values, counting is not: on real logs both must find the same numbers."""

from __future__ import annotations

import doctest
from collections import Counter
from pathlib import Path

from mailctl.maillog import messages, parse, parse_line, read, summarise
from mailctl.maillog.events import (
    Accepted,
    Connected,
    Decision,
    Delivery,
    Event,
    Expired,
    LoginFailed,
    Notice,
    Unparsed,
)
from mailctl.maillog.queue import Origin

MANUAL = Path(__file__).parents[2] / "docs/maillog.md"


def counted(event: Event) -> str | None:
    """The total that an event adds to."""
    match event:
        case Connected():
            return "connections"
        case Accepted() if event.username:
            return "sasl_logins"
        case Delivery(status="sent"):
            return "forwarded" if event.reply.startswith("forwarded as ") else "delivered"
        case Delivery(status="deferred" | "SOFTBOUNCE"):
            return "deferred"
        case Delivery(status="bounced"):
            return "bounced"
        case Expired():
            return "expired"
        case Notice(kind="sender non-delivery"):
            return "ndn_sent"
        case Decision(action="reject" | "milter-reject"):
            return "rejected"
        case Decision(action="reject_warning"):
            return "reject_warnings"
        case Decision(action="discard" | "milter-discard"):
            return "discarded"
        case LoginFailed():
            return "sasl_failures"
    return None


def test_events_count_what_the_report_counts(lines: list[bytes]) -> None:
    sums = Counter(filter(None, map(counted, map(parse_line, lines))))
    totals = summarise(lines).totals
    assert sums == {name: getattr(totals, name) for name in sums}
    assert len(sums) == 12, "the recordings hold every kind"


def test_messages_are_of_the_origins_the_report_counts(lines: list[bytes]) -> None:
    found = [message for message in read(lines) if message.size is not None]
    totals = summarise(lines).totals
    origins = Counter(message.origin for message in found)
    assert origins[Origin.RECEIVED] == totals.received
    assert origins[Origin.REINJECTED] == totals.reinjected
    assert origins[Origin.INTERNAL] == totals.internal
    assert sum(message.size or 0 for message in found if message.origin is Origin.RECEIVED) == totals.bytes_received


def test_both_faces_understand_the_same_lines(lines: list[bytes]) -> None:
    cut = [line.rstrip(b"\n")[: len(line) * number % 97 + 20] for number, line in enumerate(lines)]
    events = [parse_line(line) for line in cut]
    unparsed: list[bytes] = []
    summarise(cut, on_unparsed=unparsed.append)
    assert unparsed
    assert [event.content.encode() for event in events if isinstance(event, Unparsed)] == unparsed


def test_examples_of_the_documentation_run() -> None:
    for module in (parse, messages):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


def test_examples_of_the_manual_run() -> None:
    result = doctest.testfile(str(MANUAL), module_relative=False)
    assert result.attempted > 5
    assert not result.failed
