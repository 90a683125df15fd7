from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailctl.errors import MailctlError
from mailctl.sandbox.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_arrive_one_by_one(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.send(pid=7)
    theirs.send(ready=True)
    assert ours.receive(1) == {"pid": 7}
    assert ours.receive(1) == {"ready": True}


def test_an_error_is_raised_where_it_is_received(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.send(error="no such device")
    with pytest.raises(MailctlError, match="no such device"):
        ours.receive(1)


def test_an_end_that_dies_is_noticed(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(MailctlError, match="ended before it was ready"):
        ours.receive(1)


def test_waiting_is_bounded(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(MailctlError, match=r"not ready within 0\.05 s"):
        ends[0].receive(0.05)
