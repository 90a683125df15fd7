"""Where labs live, and how a command runs inside one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

from mailctl.apply.signals import STOPPING
from mailctl.errors import NeedsRootError, UnfitError, UsageError
from mailctl.host import LocalHost
from mailctl.sandbox import Sandbox
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.sandbox.settings import STATE

LABS = PurePosixPath("/run/mailctl/lab")
DEFAULT_NAME = "lab"
STDIN = 0
START_TIMEOUT = 2.0  # seconds for nsenter(1) to start its program
POLL_SECONDS = 0.005
KILLED = 128  # plus the number of the signal, as shells have it
SPEC_NOTE = "spec-file"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def lab_folder(name: str) -> PurePosixPath:
    """Where the lab called `name` keeps its state.

    Raises:
        UsageError: the name does not make a folder name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a lab",
            hint="use up to 32 lower-case letters, digits and hyphens, such as 'test-2'",
        )
    return LABS / name


def require_root(host: LocalHost) -> None:
    """Refuse an ordinary user, who may neither make namespaces nor look into them.

    Raises:
        NeedsRootError: this is not root.
    """
    if not host.is_root():
        raise NeedsRootError("a lab belongs to root", hint="run it with sudo")


def lab_command(lab: Sandbox | str, verb: str) -> str:
    """How a user runs a verb for this very lab: a hint that is pasted must not reach another."""
    name = lab if isinstance(lab, str) else lab.folder.name
    words = f"mailctl lab {verb}{'' if name == DEFAULT_NAME else f' --name {name}'}"
    return f"`{words}`"


def find_lab(host: LocalHost, name: str) -> Sandbox | None:
    """The lab called `name`, dead or alive; None where none was started.

    Raises:
        NeedsRootError: only root may look.
    """
    folder = lab_folder(name)
    require_root(host)
    if host.stat(folder / STATE) is None:
        return None
    return Sandbox.find(host, host.path(folder))


def open_lab(host: LocalHost, name: str) -> Sandbox:
    """The lab called `name`, which is up.

    Raises:
        UnfitError: it is not, or no longer.
    """
    lab = find_lab(host, name)
    if lab is None:
        others = [other for other in list_labs(host) if other != name]
        running = f"; up are: {', '.join(others)}" if others else ""
        raise UnfitError(f"no lab called {name!r} is up", hint=f"start it with {lab_command(name, 'up')}{running}")
    if not lab.is_alive():
        raise UnfitError(f"the lab {name!r} has died", hint=f"{lab_command(name, 'up')} starts a new one")
    return lab


def note_spec_file(folder: Path, spec_file: Path) -> None:
    """Keep in the lab's folder which spec it began with, for `read_spec_file`."""
    (folder / SPEC_NOTE).write_text(str(spec_file.resolve()))


def read_spec_file(lab: Sandbox) -> Path:
    """The spec the lab began with."""
    return Path((lab.folder / SPEC_NOTE).read_text())


def list_labs(host: LocalHost) -> list[str]:
    """Names of the labs that are up."""
    names = [name for name in host.list_directory(LABS) if _NAME.fullmatch(name)]
    return [name for name in names if (lab := find_lab(host, name)) and lab.is_alive()]


def enter(name: str, arguments: Sequence[str]) -> int:
    """Run `mailctl ARGUMENTS` inside the lab: same program, same spec, the lab's files, network and processes.

    Returns its exit code. Signals are passed on, so that what an interrupted verb undoes is undone by then.

    Raises:
        UnfitError: no such lab is up.
    """
    lab = open_lab(LocalHost(), name)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    # The blocked signals are inherited: nsenter(1) never dies of one, mailctl inside hears them once it is ready.
    process = lab.host.spawn(
        _inside(lab, python_module("mailctl", *arguments)), stdin=STDIN, environment=_environment()
    )
    for each in STOPPING:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda number, _: _pass_on(process.pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    status = process.wait()
    return status if status >= 0 else KILLED - status


def _pass_on(pid: int, number: int) -> None:
    """Send a signal to the only child of the nsenter(1) that is `pid`, once there is one."""
    deadline = time.monotonic() + START_TIMEOUT
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        while not (found := children.read_text().split()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for child in found:
            os.kill(int(child), number)


def become_inside(lab: Sandbox, argv: Sequence[str]) -> NoReturn:
    """Replace this process by a program inside the lab, in the same folder where that can be seen there."""
    lab.host.become(_inside(lab, argv), _environment())


def _inside(lab: Sandbox, argv: Sequence[str]) -> list[str]:
    here = Path.cwd()
    return [*lab.entering(str(here) if lab.path(here).is_dir() else "/"), *argv]


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": PYTHON_ENVIRONMENT["PATH"], "PYTHONPATH": PYTHON_ENVIRONMENT["PYTHONPATH"]}
