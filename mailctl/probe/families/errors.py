"""Family enumeration, what takes time: who guesses addresses one after the other is slowed down, and hung up on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from mailctl.probe.arena import Arena, Transport, expect
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Transcript

REMEDY = "smtpd_error_sleep_time = 1s, smtpd_soft_error_limit = 10, smtpd_hard_error_limit = 20"
SLOW = 0.9  # seconds for one answer
MOST_ERRORS = 30
HUNG_UP = 421


def checks() -> tuple[Check, ...]:
    return (
        Check("enumeration.errors", "a client that errs time after time is slowed down", REMEDY, _attempts, waits=True),
    )


def _attempts(arena: Arena) -> Iterator[Attempt]:
    if not arena.is_open(Transport.SMTP, arena.families[0]):
        raise CannotTellError("nothing listens on port 25")
    yield Attempt(Transport.SMTP.value, partial(_err, arena))


def _err(arena: Arena, transcript: Transcript) -> None:
    with arena.connect(transcript, Transport.SMTP, arena.families[0]) as dialogue:
        arena.greet(dialogue, Transport.SMTP)
        expect(dialogue.command("MAIL FROM:<>"), 250)
        for _ in range(MOST_ERRORS):
            started = time.monotonic()
            reply = dialogue.command(f"RCPT TO:<{arena.subject.names['victim']}>")
            if reply.code == HUNG_UP or time.monotonic() - started > SLOW:
                return
    raise RefutedError(f"{MOST_ERRORS} errors were answered at once")
