"""Runs of mailctl that the kernel ends, or fails, at one chosen system call; see strace(1), `-e inject`.

strace counts the calls of each name for itself, so a moment is a name and a number.
"""

from __future__ import annotations

import compileall
import os
import pty
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailctl.sandbox.launch import PACKAGE_PARENT, PYTHON_ENVIRONMENT

FULL = os.environ.get("MAILCTL_CRASH_SWEEP") == "full"
# Every call that changes a file, and with `openat` those that make one.
CHANGING = (
    *("openat", "write", "fsync", "rename", "link", "linkat", "unlink", "unlinkat", "rmdir", "mkdir"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "utimensat", "ftruncate", "execve", "kill"),
)
ENVIRONMENT = PYTHON_ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"}
MAILCTL = (sys.executable, "-P", "-m", "mailctl")
QUESTION = b"[y/N]: "
CALL = re.compile(r"(?:\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>.*)")


@dataclass(frozen=True)
class Moment:
    """The `number`th call of `name` in a run; `line` is what strace says of it."""

    name: str
    number: int
    line: str

    def __str__(self) -> str:
        return f"{self.name} {self.number}: {self.line}"


@dataclass(frozen=True)
class Ended:
    """The exit status of a run, negative the signal that killed it, and what it wrote to stderr."""

    status: int
    stderr: str


def list_moments(trace: str, folder: str, *, reading: bool = False) -> list[Moment]:
    """The calls of a traced run that change something below `folder`, and the programs and signals it started.

    With `reading` also every call that opens a file, wherever: those of the program and its libraries come first.
    """
    seen: Counter[str] = Counter()
    moments = []
    for line in trace.splitlines():
        if match := CALL.match(line):
            name = match["name"]
            seen[name] += 1
            is_strace = name == "execve" and seen[name] == 1  # turns into mailctl
            is_wanted = (reading and name == "openat") or _changes(name, match["arguments"], folder)
            if not is_strace and is_wanted:
                moments.append(Moment(name, seen[name], line[:160]))
    return moments


def spread(moments: Sequence[Moment], count: int) -> list[Moment]:
    """`count` of `moments`, evenly; all of them in a full sweep."""
    return list(moments) if FULL else spread_of(moments, count)


def spread_of(moments: Sequence[Moment], count: int) -> list[Moment]:
    """`count` of `moments`, evenly."""
    if len(moments) <= count:
        return list(moments)
    return [moments[index * len(moments) // count] for index in range(count)]


def spread_over_kinds(moments: Sequence[Moment], count: int) -> list[Moment]:
    """As `spread`, and one more of each kind of call that it missed."""
    chosen = spread(moments, count)
    missed = {each.name for each in moments} - {each.name for each in chosen}
    by_kind = ([each for each in moments if each.name == name] for name in sorted(missed))
    return chosen + [kind[len(kind) // 2] for kind in by_kind]


def trace(arguments: Sequence[str], output: Path, prefix: Sequence[str] = ()) -> str:
    """What strace writes of a run of mailctl that succeeds; `prefix` are words before its command line."""
    calls = ",".join(f"?{name}" for name in CHANGING)
    command = [*prefix, "strace", "-y", "-s", "80", "-e", f"trace={calls}", "-o", str(output), *MAILCTL, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output.read_text()


def trace_answered(arguments: Sequence[str], output: Path) -> str:
    """As `trace`, from the moment on in which mailctl was told to go on."""
    calls = ",".join(f"?{name}" for name in CHANGING)
    ended = _answered(("-y", "-s", "80", "-e", f"trace={calls}", "-o", str(output)), arguments)
    assert ended.status == 0, ended.stderr
    return output.read_text()


def run_with(fault: str, moment: Moment, arguments: Sequence[str], *, from_start: bool = False) -> Ended:
    """How a run ends that meets `fault` (`signal=KILL`, `error=ENOSPC`) at `moment`.

    `moment` counts from the start of the program, or from the moment on in which it was told to go on: until then
    it changes nothing, and under strace takes twice as long.
    """
    inject = f"inject={moment.name}:{fault}:when={moment.number}"
    options = ("-o", os.devnull, "-e", f"trace={moment.name}", "-e", inject)
    if not from_start:
        ended = _answered(options, arguments)
    else:
        command = ["strace", *options, *MAILCTL, *arguments]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        ended = Ended(done.returncode, done.stderr)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def _answered(options: Sequence[str], arguments: Sequence[str]) -> Ended:
    """A run of mailctl that asks on a terminal; strace holds on to it before it gets its answer."""
    words = [*MAILCTL, *(word for word in arguments if word != "-y")]
    controller, terminal = pty.openpty()
    with (
        open(controller, "wb", buffering=0) as keyboard,
        subprocess.Popen(
            words, env=ENVIRONMENT, stdin=terminal, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as verb,
    ):
        os.close(terminal)
        assert verb.stderr is not None
        said = b""
        while not said.endswith(QUESTION) and (byte := verb.stderr.read(1)):
            said += byte
        with subprocess.Popen(["strace", "-p", str(verb.pid), *options], stderr=subprocess.PIPE) as tracer:
            assert tracer.stderr is not None
            assert b"attached" in tracer.stderr.readline(), said
            keyboard.write(b"y\n")
            said += verb.stderr.read()
            tracer.stderr.read()
    return Ended(verb.returncode, said.decode())


def compile_once() -> None:
    """Write the byte code of mailctl, which the runs then only read: each of them would compile all of it."""
    compileall.compile_dir(PACKAGE_PARENT / "mailctl", quiet=1)


def copy(folder: Path, destination: Path) -> Path:
    """A copy of a folder, in place of whatever was there."""
    shutil.rmtree(destination, ignore_errors=True)
    shutil.copytree(folder, destination, symlinks=True)
    return destination


def everything(folder: Path) -> frozenset[tuple[str, bytes, int]]:
    """Every file and directory below `folder`: content and mode."""
    paths = ((path, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*"))
    return frozenset((str(path.relative_to(folder)), content, path.stat().st_mode) for path, content in paths)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below `folder`: content and mode."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode) for path in files}


def _changes(name: str, arguments: str, folder: str) -> bool:
    if name in ("execve", "kill"):
        return True
    return folder in arguments and (name != "openat" or "O_CREAT" in arguments)
