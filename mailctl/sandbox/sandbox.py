"""Starting, entering and ending a sandbox."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self, TypeVar

from mailctl.errors import MailctlError, NeedsRootError, UnfitError, missing_modules
from mailctl.host import BackgroundProcess, Completed, LocalHost
from mailctl.sandbox.certificates import Authority
from mailctl.sandbox.channel import Channel
from mailctl.sandbox.faults import Fault, read_faults, write_fault
from mailctl.sandbox.launch import DIE_WITH_PARENT, PYTHON_ENVIRONMENT, PYTHON_PATHS, START_TIMEOUT, python_module
from mailctl.sandbox.namespaces import call_in_network_of, call_in_place_of
from mailctl.sandbox.process import Process
from mailctl.sandbox.received import ReceivedMessage, read_messages
from mailctl.sandbox.settings import MESSAGES, STATE, SUPERVISOR_LOG, ZONE, Settings, read_json, write_json

PROGRAMS = ("unshare", "nsenter", "setpriv", "mount", "ip", "openssl")
MODULES = {"aiosmtpd": "aiosmtpd", "dns": "dnspython"}

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running private server and the world around it.

    As a context manager it ends with its block. `folder` holds its state and what reached the world;
    `child` is its supervisor where this process started it.
    """

    host: LocalHost
    folder: Path
    supervisor: Process
    server: Process
    child: BackgroundProcess | None = None

    @classmethod
    def start(cls, host: LocalHost, folder: Path, settings: Settings, *, dies_with_us: bool = True) -> Self:
        """Start one whose state lives in `folder`, which exists and is empty; takes less than a second.

        Args:
            dies_with_us: the kernel ends it when this process ends, however that happens.

        Raises:
            NeedsRootError: namespaces and mounts need root.
            UnfitError: a program or Python module is missing.
            MailctlError: it did not start; says why.
        """
        _check_fit(host)
        replace(settings, visible=(*settings.visible, *PYTHON_PATHS)).store(folder)
        (folder / MESSAGES).mkdir()
        child = _spawn_supervisor(host, folder, dies_with_us)
        return replace(cls.find(host, folder), child=child)

    @classmethod
    def find(cls, host: LocalHost, folder: Path) -> Self:
        """The one whose state is in `folder`; it may have ended: see `is_alive`."""
        state = read_json(folder / STATE)
        return cls(host, folder, Process(**state["supervisor"]), Process(**state["server"]))

    @property
    def hostname(self) -> str:
        return Settings.load(self.folder).hostname

    def is_alive(self) -> bool:
        return self.supervisor.is_alive() and self.server.is_alive()

    def stop(self) -> None:
        """End every process of it; mounts and links vanish with them. Its folder stays.

        Raises:
            MailctlError: a process is stuck in the kernel.
        """
        # The server dies with its supervisor; asked by id as well, in case that one had gone before.
        if not (self.supervisor.kill() and self.server.kill()):
            raise MailctlError(f"process {self.server.pid} of the sandbox does not end")
        if self.child:
            self.child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def entering(self, folder: str = "/") -> list[str]:
        """The words before a command line that make it run inside the server, in `folder` of the server."""
        # --root: where mailctl itself runs in a chroot, the server has the same one.
        namespaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--root")
        return ["nsenter", f"--target={self.server.pid}", *namespaces, f"--wdns={folder}", "--"]

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        """Run a program inside the server, as Host.run does outside."""
        return self.host.run([*self.entering(), *argv], stdin=stdin, timeout=timeout)

    def call_outside(self, function: Callable[[], Result]) -> Result:
        """What `function` returns when its sockets belong to the outside world (any source address will do)."""
        return call_in_network_of(self.supervisor.pid, function)

    def call_inside(self, function: Callable[[], Result]) -> Result:
        """What `function` returns when its sockets belong to the server."""
        return call_in_network_of(self.server.pid, function)

    def call_in_place(self, function: Callable[[], Result]) -> Result:
        """What `function` returns when it works inside the server: files, sockets, programs; it starts no thread."""
        return call_in_place_of(self.server.pid, function)

    def path(self, path: str | PurePath) -> Path:
        """Where a file of the server can be read and written from here."""
        return Path(f"/proc/{self.server.pid}/root") / PurePath(path).relative_to("/")

    def messages(self) -> list[ReceivedMessage]:
        """What reached the world so far, oldest first."""
        return read_messages(self.folder)

    def publish(self, zone: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Replace the DNS records that differ from the world's rule: name to type to values, as in a zone file."""
        write_json(self.folder / ZONE, zone)

    def zone(self) -> dict[str, Any]:
        """The records published last."""
        return read_json(self.folder / ZONE)

    def disturb(self, name: str, fault: Fault | None) -> None:
        """Make a host of the world (a name, or an address without one) fail from now on; None makes it well."""
        write_fault(self.folder, name, fault)

    def faults(self) -> dict[str, Fault]:
        return read_faults(self.folder)

    def issue_certificate(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """A certificate the server trusts, and its private key, both PEM."""
        authority = Authority(self.host, self.folder)
        return authority.issue(names).read_bytes(), authority.key.read_bytes()


def _check_fit(host: LocalHost) -> None:
    if not host.is_root():
        raise NeedsRootError("private namespaces and mounts need root", hint="run it with sudo")
    if missing := [name for name in PROGRAMS if host.find_program(name) is None]:
        raise UnfitError(f"not installed: {', '.join(missing)}", hint="apt install util-linux mount iproute2 openssl")
    if absent := [name for module, name in MODULES.items() if importlib.util.find_spec(module) is None]:
        raise missing_modules(*absent)


def _spawn_supervisor(host: LocalHost, folder: Path, dies_with_us: bool) -> BackgroundProcess:
    ours, theirs = Channel.pair()
    bond = DIE_WITH_PARENT if dies_with_us else ()
    command = [*bond, "unshare", "--net", *python_module("mailctl.sandbox.supervisor", str(folder))]
    with (folder / SUPERVISOR_LOG).open("ab") as log:
        process = host.spawn(
            command,
            stdin=theirs.fileno(),
            stdout=log.fileno(),
            stderr=log.fileno(),
            environment=PYTHON_ENVIRONMENT,
            detached=True,
        )
    theirs.close()
    try:
        ours.receive(START_TIMEOUT)
    except BaseException as error:
        process.kill()
        process.wait()
        said = (folder / SUPERVISOR_LOG).read_text(errors="replace").splitlines()
        if isinstance(error, MailctlError) and said:
            raise MailctlError(f"{error.message}: {said[-1]}", error.hint) from error
        raise
    finally:
        ours.close()
    return process
