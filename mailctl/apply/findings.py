"""What a probe and a log show to be wrong, as problems for whoever applies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mailctl.errors import Origin, Problem
from mailctl.probe.clients import is_client
from mailctl.probe.result import Outcome, Report, Result, Verdict

SHOWN_DIALOGUES = 2

# Not OpenDKIM: it warns of clients that leave early, and a fault of its own fails the checks of signing.
_COMPLAINT = re.compile(r"(?:postfix\S*: |dovecot: (?:[^\s:]+: )*)(?:warning|error|fatal|panic): ", re.I)
# A kernel that stamps files more finely than time(2) counts gives a file written at a second's turn the next second.
_OF_THE_MACHINE = re.compile(r".*: warning: file system clock is 1 seconds ahead of local clock")
_ADDRESS = re.compile(r"\[([0-9a-f]*[.:][0-9a-f.:]+)\]", re.I)


def failed_checks(report: Report, place: str, *, only_refuted: bool = False) -> Iterator[Problem]:
    """Each check that failed, and the dialogue of the first few: one fault can fail dozens.

    `only_refuted` leaves out those that failed because the server said nothing.
    """
    failed = (result for result in report.results if result.verdict is Verdict.FAIL)
    found = ((result, outcome) for result in failed if (outcome := _decisive(result, only_refuted)))
    for number, (result, outcome) in enumerate(found):
        where = f" ({outcome.where})" if outcome.where else ""
        dialogue = "\n".join(outcome.dialogue) if number < SHOWN_DIALOGUES else ""
        yield Problem(Origin(place), result.name, f"{outcome.note}{where}", result.remedy, excerpt=dialogue)


def complaints(lines: Iterable[str]) -> Iterator[Problem]:
    """What services complain of in a log, unless a client of the probe or the machine did it; each thing once."""
    for line in dict.fromkeys(lines):
        if _COMPLAINT.match(line) and not _OF_THE_MACHINE.fullmatch(line) and not _names_a_client(line):
            yield Problem(Origin("mail log"), "", line)


def _names_a_client(line: str) -> bool:
    return any(map(is_client, _ADDRESS.findall(line)))


def _decisive(result: Result, only_refuted: bool) -> Outcome | None:
    return next((outcome for outcome in result.decisive if outcome.is_refuted or not only_refuted), None)
