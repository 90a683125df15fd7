from __future__ import annotations

import email
from email.policy import SMTP

import pytest

from mailctl.errors import UsageError
from mailctl.lab.mail import Outcome, Reply, compose


def test_a_composed_message_has_what_every_message_needs() -> None:
    message = email.message_from_bytes(compose("a@x.example", ("b@y.example",), "grüße", "hello"), policy=SMTP)
    assert message["From"] == "a@x.example"
    assert message["To"] == "b@y.example"
    assert message["Subject"] == "grüße"
    assert message["Date"]
    assert message["Message-ID"]


def test_a_header_cannot_be_smuggled_in() -> None:
    with pytest.raises(UsageError):
        compose("a@x.example", ("b@y.example",), "hi\nBcc: c@z.example", "hello")


@pytest.mark.parametrize(
    ("outcome", "accepted"),
    [
        (Outcome({"a@x.example": Reply(250, "ok")}, "4AAA"), True),
        (Outcome({"a@x.example": Reply(250, "ok"), "b@x.example": Reply(550, "no")}, "4AAA"), False),
        (Outcome({"a@x.example": Reply(250, "ok")}), False),
    ],
)
def test_accepted_means_taken_for_every_recipient(outcome: Outcome, accepted: bool) -> None:
    assert outcome.is_accepted is accepted
