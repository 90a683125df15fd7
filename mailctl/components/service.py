"""Starting, reloading and restarting daemons: through systemd where it runs, directly where it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from mailctl.components.base import Daemon, ReloadKind
from mailctl.errors import MailctlError, Origin, Problem, Severity
from mailctl.host import Host

SYSTEMD_RUNS = PurePosixPath("/run/systemd/system")  # sd_booted(3)
LONGEST_START = 30.0  # seconds; a healthy daemon needs well under one, on a starved machine many
LONGEST_SETTLING = 10.0  # seconds; what is wrong longer is undone, and should not serve longer than that
LOG_HINT = "the mail log says why"

Argv = Sequence[str | PurePath]


@dataclass(frozen=True, slots=True)
class Commands:
    """What drives a daemon where systemd does not run; reloading and stopping may need the process id of its master."""

    start: Argv
    reload: Callable[[int], Argv]
    stop: Callable[[int], Argv]


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


def stopped_services(host: Host, daemons: Iterable[Daemon]) -> list[Problem]:
    """A warning for each daemon that does not run, and how to start it; none under `--root`."""
    if not host.is_live():
        return []
    return [_stopped(host, daemon) for daemon in daemons if running_pid(host, daemon) is None]


def _stopped(host: Host, daemon: Daemon) -> Problem:
    command = f"systemctl start {daemon.unit}" if has_systemd(host) else f"service {daemon.name.lower()} start"
    hint = f"start it with `{command}`; where it does not, the mail log says why"
    return Problem(Origin(daemon.name), "", "it does not run", hint, Severity.WARNING)


def needless_services(host: Host, daemons: Iterable[Daemon]) -> list[Problem]:
    """A warning for each daemon that runs although the spec has no use for it; only root can tell, of a live host."""
    if not (host.is_live() and host.is_root()):
        return []
    return [_needless(host, daemon) for daemon in daemons if running_pid(host, daemon) is not None]


def _needless(host: Host, daemon: Daemon) -> Problem:
    command = f"systemctl disable --now {daemon.unit}" if has_systemd(host) else f"service {daemon.name.lower()} stop"
    message = "it runs, and the spec has no use for it: whatever it serves is open with settings of its own"
    return Problem(Origin(daemon.name), "", message, command, Severity.WARNING)


def drive(host: Host, daemon: Daemon, kind: ReloadKind, commands: Commands) -> None:
    """Reload or restart a daemon, or start it where it does not run; return once its master process is there.

    Raises:
        MailctlError: it refused the configuration, or did not come back.
    """
    if kind is ReloadKind.NOTHING:
        return
    if has_systemd(host):
        _systemctl(host, "restart" if kind is ReloadKind.RESTART else "reload-or-restart", daemon)
        return
    pid = running_pid(host, daemon)
    if pid is not None and kind is ReloadKind.RELOAD:
        run(host, commands.reload(pid), f"{daemon.name} did not reload", LOG_HINT)
        return
    if pid is not None:
        run(host, commands.stop(pid), f"{daemon.name} did not stop", LOG_HINT)
        wait_until_stopped(host, daemon)
    run(host, commands.start, f"{daemon.name} did not start", LOG_HINT)
    wait_until_running(host, daemon)


def lasting_problems(find: Callable[[], Iterable[Problem]]) -> list[Problem]:
    """What `find` still finds once the service had ten seconds to settle."""
    found: list[Problem] = []

    def is_well() -> bool:
        found[:] = find()
        return not found

    wait_until(is_well, LONGEST_SETTLING)
    return found


def _systemctl(host: Host, verb: str, daemon: Daemon) -> None:
    failure, hint = f"{daemon.name} did not {verb}", f"journalctl -u {daemon.unit} says why"
    run(host, ["systemctl", verb, daemon.unit], failure, hint)


def run(host: Host, argv: Argv, failure: str, hint: str = "") -> None:
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
        MailctlError: it is not there after LONGEST_START.
    """
    if not wait_until(lambda: running_pid(host, daemon) is not None):
        raise MailctlError(f"{daemon.name} did not start", LOG_HINT)


def wait_until_stopped(host: Host, daemon: Daemon) -> None:
    """Return once the daemon's master process is gone.

    Raises:
        MailctlError: it is still there after LONGEST_START.
    """
    if not wait_until(lambda: running_pid(host, daemon) is None):
        raise MailctlError(f"{daemon.name} did not stop", hint=f"look at the process in {daemon.pid_file}")
