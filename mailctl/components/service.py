"""Starting, reloading and restarting daemons: through systemd where it runs, directly where it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from mailctl.errors import MailctlError
from mailctl.host import Host

SYSTEMD_RUNS = PurePosixPath("/run/systemd/system")  # sd_booted(3)
LONGEST_START = 10.0  # seconds; a healthy daemon needs well under one


@dataclass(frozen=True, slots=True)
class Daemon:
    """A service by all its names; `process` is what the kernel calls its master process (/proc/PID/comm)."""

    name: str
    unit: str
    process: str
    pid_file: PurePosixPath


def has_systemd(host: Host) -> bool:
    """Whether systemd is the init of this host."""
    return host.stat(SYSTEMD_RUNS) is not None


def running_pid(host: Host, daemon: Daemon) -> int | None:
    """The process id of the daemon's master, or None; a pid file left by a dead process is not believed."""
    text = (host.read(daemon.pid_file) or b"").strip()
    if not text.isdigit():
        return None
    process = host.read(PurePosixPath("/proc") / text.decode() / "comm")
    return int(text) if process == daemon.process.encode() + b"\n" else None


def systemctl(host: Host, verb: str, daemon: Daemon) -> None:
    """`systemctl VERB UNIT`.

    Raises:
        MailctlError: the unit did not do it.
    """
    run(
        host, ["systemctl", verb, daemon.unit], f"{daemon.name} did not {verb}", f"journalctl -u {daemon.unit} says why"
    )


def run(host: Host, argv: Sequence[str | PurePath], failure: str, hint: str = "") -> None:
    """Run a program that must succeed.

    Raises:
        MailctlError: `failure`, with what the program said.
    """
    done = host.run(argv)
    if done.returncode != 0:
        raise MailctlError(f"{failure}: {done.complaint or f'exit status {done.returncode}'}", hint)


def wait_until(holds: Callable[[], bool], timeout: float = LONGEST_START, pause: float = 0.02) -> bool:
    """Ask `holds` every `pause` seconds until it is true or `timeout` seconds have passed; the last answer."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def wait_until_running(host: Host, daemon: Daemon) -> None:
    """Return once the daemon's master process is there.

    Raises:
        MailctlError: it is not there after ten seconds.
    """
    if not wait_until(lambda: running_pid(host, daemon) is not None):
        raise MailctlError(f"{daemon.name} did not start", hint="the mail log says why")


def wait_until_stopped(host: Host, daemon: Daemon) -> None:
    """Return once the daemon's master process is gone.

    Raises:
        MailctlError: it is still there after ten seconds.
    """
    if not wait_until(lambda: running_pid(host, daemon) is None):
        raise MailctlError(f"{daemon.name} did not stop", hint=f"look at the process in {daemon.pid_file}")
