"""Checks as data: each file of cases/ is a family, each case a dialogue as it appears in a report.

    -> LINE     a command; {names} stand for people of the subject, see subject.py
    => BYTES    the same without a line end, one TCP segment; backslash escapes as in Python
    <- PATTERN  the reply: a regular expression over code and text, from the beginning; {patterns} of the file

The last `<-` is the claim; any other that does not match leaves the claim unproved, which fails as well. A reply that
`cannot_tell` of the file lists, by pattern and reason, says nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.probe.arena import Arena, Family, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError, UnprovedError
from mailctl.probe.dialogue import Dialogue, Reply, Transcript
from mailctl.probe.subject import MISSING, Subject
from mailctl.spec.nodes import read_source
from mailctl.spec.source import read_yaml

FOLDER = Path(__file__).parent / "cases"
_NAME = re.compile(r"\{([a-z_]+)\}")
_STEP = re.compile(r"(->|=>|<-) ?(.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a dialogue: `mark` is `->`, `=>` or `<-`."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One dialogue; `login` names who logs in before it, `greets` whether EHLO and TLS come before it."""

    steps: tuple[Step, ...]
    transports: tuple[Transport, ...]
    families: tuple[Family, ...]
    patterns: Mapping[str, str]
    cannot_tell: Mapping[str, str]
    login: str = ""
    greets: bool = True

    def attempts(self, arena: Arena) -> Iterator[Attempt]:
        """One for each transport and address family that there is.

        Raises:
            CannotTellError: somebody the dialogue names does not exist here, or no port of it is open.
        """
        self._require(arena.subject)
        places = [
            (transport, family)
            for transport in self.transports
            for family in self.families
            if arena.is_open(transport, family)
        ]
        if not places:
            ports = ", ".join(sorted({str(transport.port) for transport in self.transports}))
            raise CannotTellError(f"nothing listens on port {ports}")
        return (self._attempt(arena, *place) for place in places)

    @property
    def used_names(self) -> frozenset[str]:
        """Names of the subject the dialogue cannot do without."""
        found = {name for step in self.steps for name in _NAME.findall(step.text)} - set(self.patterns)
        return frozenset(found | ({self.login} if self.login else set()))

    def _require(self, subject: Subject) -> None:
        for name in sorted(self.used_names - set(subject.names)):
            raise CannotTellError(MISSING.get(name, f"no {name} is known"))
        if self.login and subject.names[self.login] not in subject.passwords:
            raise CannotTellError(f"the password of {subject.names[self.login]} is not known; give it with --login")

    def _attempt(self, arena: Arena, transport: Transport, family: Family) -> Attempt:
        def run(transcript: Transcript) -> None:
            with arena.connect(transcript, transport, family) as dialogue:
                if self.greets:
                    arena.greet(dialogue, transport)
                if self.login:
                    arena.log_in(dialogue, arena.subject.names[self.login])
                self._talk(dialogue, arena.subject)

        return Attempt(f"{transport.value} {family.value}", run)

    def _talk(self, dialogue: Dialogue, subject: Subject) -> None:
        names = dict(subject.names)
        last = ""
        for position, step in enumerate(self.steps):
            if step.mark == "<-":
                reply = dialogue.reply()
                if not re.match(_fill(step.text, self.patterns), str(reply), re.DOTALL):
                    self._require_telling(reply)
                    raise _complaint(last, reply, is_claim=position == len(self.steps) - 1)
                continue
            last = _fill(step.text, names)
            dialogue.send(_bytes(last) if step.mark == "=>" else last.encode() + b"\r\n")

    def _require_telling(self, reply: Reply) -> None:
        for pattern, reason in self.cannot_tell.items():
            if re.match(pattern, str(reply)):
                raise CannotTellError(f"{reason}: {str(reply)!r}")


def _complaint(said: str, reply: Reply, *, is_claim: bool) -> RefutedError:
    note = f"{said.partition(' ')[0] if len(said) > 80 else said} was answered {str(reply)!r}"
    return RefutedError(note) if is_claim else UnprovedError(f"not proved: {note}")


def load_checks() -> tuple[Check, ...]:
    """Every check of every file of cases/, in the order of their lines."""
    return tuple(check for path in FOLDER.glob("*.yml") for check in load_family(path))


@functools.cache
def load_family(path: Path) -> tuple[Check, ...]:
    """The checks of one file; ValueError means that the data itself is wrong, which a test rules out."""
    data, problems = read_yaml(read_source(path))
    if data is None or problems:
        raise ValueError(f"{path.name} is not valid: {problems}")
    patterns = dict(data.get("patterns", {}))
    return tuple(
        Check(
            name=f"{path.stem}.{name}",
            claim=case["claim"],
            remedy=case.get("remedy", data["remedy"]),
            attempts=_case(case, data, patterns).attempts,
            is_fast=case.get("fast", data.get("fast", "no")) == "yes",
            waits=case.get("waits", "no") == "yes",
        )
        for name, case in data["cases"].items()
    )


def _case(case: Mapping[str, Any], defaults: Mapping[str, Any], patterns: Mapping[str, str]) -> Case:
    return Case(
        steps=tuple(_steps(case["dialogue"])),
        transports=tuple(map(Transport, _choose("transports", case, defaults))),
        families=tuple(map(Family, _choose("families", case, defaults, tuple(Family)))),
        patterns=patterns,
        cannot_tell=defaults.get("cannot_tell", {}),
        login=case.get("login", defaults.get("login", "")),
        greets=case.get("greets", "yes") == "yes",
    )


def _choose(
    key: str, case: Mapping[str, Any], defaults: Mapping[str, Any], otherwise: Sequence[str] = ()
) -> Sequence[str]:
    found: Sequence[str] = case.get(key, defaults.get(key, otherwise))
    return found


def _steps(text: str) -> Iterator[Step]:
    for line in text.splitlines():
        match = _STEP.fullmatch(line)
        if match is None:
            raise ValueError(f"no line of a dialogue: {line!r}")
        yield Step(match[1], match[2])


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: values.get(match[1], match[0]), text)


def _bytes(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")
