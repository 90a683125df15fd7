"""What a check is: a claim about the server, and the attempts that try to prove it wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mailctl.errors import MailctlError
from mailctl.probe.arena import Arena
from mailctl.probe.dialogue import DialogueError, Transcript
from mailctl.probe.result import Outcome, Verdict


class CannotTellError(Exception):
    """The check cannot be made here; says why. It is skipped, not passed."""


class RefutedError(Exception):
    """The claim does not hold; says what was seen instead."""


class UnprovedError(RefutedError):
    """The dialogue ended before it came to the claim; says how."""


class DoubtError(Exception):
    """The claim holds, but something is worth a warning."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at `where`; `run` writes what is said into the transcript.

    It raises RefutedError, DoubtError, CannotTellError, or what a dialogue raises; else the claim held.
    """

    where: str
    run: Callable[[Transcript], None]

    def outcome(self) -> Outcome:
        transcript: Transcript = []
        started = time.monotonic()
        verdict, note, is_refuted = self._judge(transcript)
        return Outcome(self.where, verdict, note, tuple(transcript), time.monotonic() - started, is_refuted)

    def _judge(self, transcript: Transcript) -> tuple[Verdict, str, bool]:
        try:
            self.run(transcript)
        except RefutedError as error:
            return Verdict.FAIL, str(error), not isinstance(error, UnprovedError)
        except (DialogueError, MailctlError) as error:
            return Verdict.FAIL, str(error), False
        except OSError as error:
            return Verdict.FAIL, error.strerror or str(error), False
        except DoubtError as error:
            return Verdict.WARN, str(error), False
        except CannotTellError as error:
            return Verdict.SKIP, str(error), False
        return Verdict.OK, "", False


@dataclass(frozen=True, slots=True)
class Check:
    """A named claim.

    `attempts` raises CannotTellError where the arena lacks what it needs. Fast ones belong to every apply; those that
    wait for seconds begin before all others; disruptive ones stop services, and run alone after all others.
    """

    name: str
    claim: str
    remedy: str
    attempts: Callable[[Arena], Iterable[Attempt]]
    is_fast: bool = False
    waits: bool = False
    is_disruptive: bool = False

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]
