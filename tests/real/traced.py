"""A command under strace: the programs it runs, the files it makes and the modes they ever have; strace(1)."""

from __future__ import annotations

import ast
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

STARTS = "execve,clone,clone3,fork,vfork"
MODES = "open,openat,creat,chmod,fchmod,fchmodat,mkdir,mkdirat"
NAMES = "rename,renameat,renameat2,link,linkat"
# It must be possible to end strace alone, while the services live on.
OPTIONS = (
    "-f",
    "-I",
    "anywhere",
    "--pidns-translation",
    "-v",
    "-y",
    "-s",
    "65536",
    "-e",
    f"trace={STARTS},{MODES},{NAMES}",
    "-e",
    "signal=none",
)
LONGEST_RUN = 400.0  # seconds

_LINE = re.compile(r"(?P<pid>\d+)(?: /\* .*? \*/)? +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)")
_STRING = r'"((?:[^"\\]|\\.)*)"'
_TRANSLATED = re.compile(r"/\* (\d+) in strace's PID NS \*/")
_ENDED = re.compile(r"\+\+\+ (?:exited with|killed by)")


@dataclass(frozen=True)
class Call:
    """One system call that succeeded: its arguments as strace writes them, and what it returned."""

    pid: int
    name: str
    arguments: str
    result: str

    @property
    def strings(self) -> list[str]:
        return [ast.literal_eval(f'"{each}"') for each in re.findall(_STRING, self.arguments)]


@dataclass(frozen=True)
class Execution:
    """A program that was run: its path, its words, its environment, and who started it."""

    pid: int
    parent: int
    program: str
    argv: tuple[str, ...]
    environment: tuple[str, ...]


@dataclass(frozen=True)
class ModeChange:
    """A mode a path was given, when it was made or later."""

    pid: int
    path: str
    mode: int
    is_new: bool


@dataclass(frozen=True)
class Trace:
    """What a run did, and what it wrote."""

    calls: tuple[Call, ...]
    stdout: str
    stderr: str
    returncode: int

    def executions(self) -> Iterator[Execution]:
        parents = self.parents()
        for call in self.calls:
            if call.name == "execve":
                program, argv, environment = _execve(call.arguments)
                yield Execution(call.pid, parents.get(call.pid, 0), program, argv, environment)

    def parents(self) -> dict[int, int]:
        forks = STARTS.split(",")[1:]
        return {int(call.result): call.pid for call in self.calls if call.name in forks and call.result.isdecimal()}

    def mode_changes(self) -> Iterator[ModeChange]:
        for call in self.calls:
            mode = re.search(r", 0(\d*)\)?$", call.arguments)
            if call.name in ("open", "openat", "creat"):
                if "O_CREAT" in call.arguments and mode and "O_TMPFILE" not in call.arguments:
                    yield ModeChange(call.pid, call.strings[-1], _octal(mode[1]), is_new=True)
            elif call.name in ("mkdir", "mkdirat") and mode:
                yield ModeChange(call.pid, call.strings[-1], _octal(mode[1]), is_new=True)
            elif call.name == "fchmod" and mode:
                found = re.match(r"\d+<([^>]*)>", call.arguments)
                yield ModeChange(call.pid, found[1] if found else "?", _octal(mode[1]), is_new=False)
            elif call.name in ("chmod", "fchmodat"):
                mode = re.search(r", 0(\d*)", call.arguments)
                if mode:
                    yield ModeChange(call.pid, call.strings[-1], _octal(mode[1]), is_new=False)

    def renames(self) -> Iterator[tuple[str, str]]:
        for call in self.calls:
            if call.name.startswith(("rename", "link")):
                yield call.strings[0], call.strings[1]


def trace(argv: Sequence[str], folder: Path, *, umask: int, environment: dict[str, str]) -> Trace:
    """Run a command and follow all it starts until the command ends; services it started live on, unwatched."""
    log, out, err = folder / "trace", folder / "stdout", folder / "stderr"
    words = ["strace", *OPTIONS, "-o", str(log), *argv]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            words, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, umask=umask, env=environment
        )
        try:
            first = _wait_for_end(log, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=LONGEST_RUN)
    return Trace(tuple(_calls(log)), out.read_text(), err.read_text(), first)


def _wait_for_end(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + LONGEST_RUN
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace") if log.exists() else ""
        first = text.partition(" ")[0]
        if found := re.search(rf"^{first} +\+\+\+ exited with (\d+)", text, re.MULTILINE):
            return int(found[1])
        if process.poll() is not None:
            raise AssertionError(f"strace ended with {process.returncode}")
        time.sleep(0.2)
    raise AssertionError(f"the command did not end within {LONGEST_RUN:g} s")


def _calls(log: Path) -> Iterator[Call]:
    waiting: dict[tuple[int, str], str] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if not match or _ENDED.search(line):
            continue
        pid, rest = int(match["pid"]), match["rest"]
        name = match["call"] or match["resumed"]
        if match["call"] and rest.endswith("<unfinished ...>"):
            waiting[pid, name] = rest.removesuffix("<unfinished ...>")
            continue
        if match["resumed"]:
            rest = waiting.pop((pid, name), "") + rest
        arguments, equals, result = rest.rpartition(" = ")
        if equals and not result.startswith(("-1 ", "?")):
            translated = _TRANSLATED.search(result)
            yield Call(
                pid, name, arguments.strip().removesuffix(")"), translated[1] if translated else result.split(" ")[0]
            )


def _execve(arguments: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    program = re.match(_STRING, arguments)
    lists = re.findall(rf"\[((?:{_STRING.replace('(', '(?:', 1)}(?:, )?)*)\]", arguments)
    assert program, arguments
    words = [tuple(ast.literal_eval(f'"{each}"') for each in re.findall(_STRING, text)) for text in lists]
    return program[1], words[0], words[1] if len(words) > 1 else ()


def _octal(digits: str) -> int:
    return int(digits or "0", 8)
