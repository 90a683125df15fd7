"""The journal: what an apply is about to do, on disk before it happens, so that whoever comes next can end it.

One file of JSON lines per apply below STATE/journal. It exists exactly as long as the apply is unfinished.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from mailctl.errors import RollbackError
from mailctl.host import Host
from mailctl.target import Target


class Step(StrEnum):
    """What is about to happen; after VERIFIED an apply is finished, before it is undone.

    GUARD announces that a person will be asked, PENDING that everything is in place and waits for the answer.
    """

    BEGIN = "begin"
    GUARD = "guard"
    PREPARE = "prepare"
    PERMISSIONS = "permissions"
    REPLACE = "replace"
    PENDING = "pending"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Record:
    """One line: a step and the facts to undo or finish it."""

    step: Step
    facts: dict[str, Any]


class Journal:
    """The steps of one apply so far. `name` also names its working folder below STATE/staging."""

    def __init__(self, host: Host, target: Target, name: str, records: list[Record]) -> None:
        self.name = name
        self.records = records
        self._host = host
        self._path = _folder(target) / f"{name}.jsonl"
        self.work = target.state_dir / "staging" / name

    def write(self, step: Step, **facts: Any) -> None:
        """Put a step on disk before it is done."""
        self._host.append(self._path, json.dumps({"step": step, **facts}).encode() + b"\n")
        self.records.append(Record(step, facts))

    def end(self) -> None:
        """Nothing is left to undo or finish."""
        try:
            self._host.remove(self._path)
        except OSError:
            # Gone, but perhaps not for good. Where a power cut brings it back, ending it once more does no harm.
            if self._host.stat(self._path) is not None:
                raise

    def steps(self, step: Step) -> Iterator[dict[str, Any]]:
        """The facts of every `step` so far, oldest first."""
        return (record.facts for record in self.records if record.step is step)

    @property
    def number(self) -> int | None:
        """The generation to become current; None where the apply died before it wrote that."""
        return next((facts["number"] for facts in self.steps(Step.BEGIN)), None)

    @property
    def is_verified(self) -> bool:
        return self.has(Step.VERIFIED)

    @property
    def deadline(self) -> float | None:
        """When an apply that nobody confirmed is undone, in seconds since 1970; None where nobody is asked."""
        return next((facts["deadline"] for facts in self.steps(Step.GUARD)), None)

    @property
    def is_waiting(self) -> bool:
        """Whether everything is in place and only a confirmation is missing."""
        return self.has(Step.PENDING) and not self.is_verified

    def has(self, step: Step) -> bool:
        """Whether the apply came as far as `step`."""
        return any(record.step is step for record in self.records)


def read_unfinished(host: Host, target: Target) -> Journal | None:
    """The journal of an apply that neither finished nor was undone.

    Raises:
        RollbackError: it cannot be understood, so nobody but a person can tell what was done.
    """
    names = [name for name in host.list_directory(_folder(target)) if name.endswith(".jsonl")]
    if not names:
        return None
    path = _folder(target) / names[0]
    content = host.read(path) or b""
    try:
        # A line without its end was being written when the power went: its step was not begun.
        records = [_parse(line) for line in content.split(b"\n")[:-1]]
    except (ValueError, KeyError, AttributeError) as error:
        raise RollbackError(
            f"the journal of an unfinished apply is damaged: {path}: {error}",
            hint=f"compare the live files with {target.state_dir}/history, then remove the journal",
        ) from error
    return Journal(host, target, names[0].removesuffix(".jsonl"), records)


def _parse(line: bytes) -> Record:
    facts = json.loads(line)
    return Record(Step(facts.pop("step")), facts)


def _folder(target: Target) -> PurePosixPath:
    return target.state_dir / "journal"
