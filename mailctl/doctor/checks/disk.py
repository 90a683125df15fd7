"""Room and inodes where mail is stored, queued and logged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.doctor.model import Finding, Patient, Verdict, fail, ok
from mailctl.errors import printable

FULL, NEARLY_FULL = 95, 85  # percent
LOGS = PurePosixPath("/var/log")
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One line of df(1) -P: where it is mounted, and how much of it is used, in percent."""

    mount: str
    percent: int


def look(patient: Patient) -> Iterator[Finding]:
    target = patient.target
    wanted = (target.postfix_queue_dir, target.mail_dir, target.state_dir, LOGS)
    folders = [folder for folder in wanted if patient.host.stat(folder) is not None]
    worst = 0
    found: list[Finding] = []
    for options, what in ((("-P",), "room"), (("-P", "-i"), "inodes")):
        done = patient.host.run(["df", *options, *folders], timeout=SECONDS)
        systems = list(parse_df(done.stdout.decode(errors="replace")))
        if not systems:
            found.append(fail("df", f"df says nothing: {printable(done.complaint)}", "df -h"))
        worst = max([worst, *(each.percent for each in systems)])
        found += (finding for each in systems for finding in _problems(each, what))
    yield from found
    if not found:
        yield ok("disk", f"{worst} % used at most")


def parse_df(text: str) -> Iterator[FileSystem]:
    """Each file system once; those that count no inodes are left out."""
    seen = set()
    for line in text.splitlines()[1:]:
        words = line.split(None, 5)
        if len(words) == 6 and words[4].rstrip("%").isdecimal() and words[5] not in seen:
            seen.add(words[5])
            yield FileSystem(words[5], int(words[4].rstrip("%")))


def _problems(system: FileSystem, what: str) -> Iterator[Finding]:
    if system.percent >= NEARLY_FULL:
        verdict = Verdict.FAIL if system.percent >= FULL else Verdict.WARN
        remedy = "du -xh / | sort -h | tail" if what == "room" else "du -x --inodes / | sort -n | tail"
        mount = printable(system.mount)
        yield Finding(verdict, f"{mount} {what}", f"{mount}: {system.percent} % of its {what} used", remedy)
