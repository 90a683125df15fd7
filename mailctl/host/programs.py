"""Programs and services of this machine: running the ones, talking to the others."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from errno import EBADF, ENOTCONN, ENOTSOCK, ESRCH
from pathlib import Path, PurePath
from typing import BinaryIO, NoReturn

from mailctl.errors import UnfitError
from mailctl.host.protocol import Completed

SYSTEM_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
CLEAN_ENVIRONMENT = {"PATH": ":".join(SYSTEM_PATH), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

PIDFD_GETFD = 438  # the number of the system call, the same on every machine Debian runs on

BackgroundProcess = subprocess.Popen[bytes]


class LocalPrograms:
    """The half of a local host that has nothing to do with files."""

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        name, *arguments = map(str, argv)
        program = self._require_program(name)
        # Not pipes: a daemon keeps them open after the program that started it has ended, and we would wait for it.
        with _memory_file("stdout") as stdout, _memory_file("stderr") as stderr:
            try:
                done = subprocess.run(
                    [str(program), *arguments],
                    input=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    timeout=timeout,
                    env=CLEAN_ENVIRONMENT,
                    cwd="/",
                    check=False,
                    # Ctrl-C is for mailctl, which then puts things back in order; it must not kill half of that.
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired as error:
                raise UnfitError(f"{name} did not end within {timeout:g} s") from error
            return Completed((name, *arguments), done.returncode, _content(stdout), _content(stderr))

    def spawn(
        self,
        argv: Sequence[str | PurePath],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
        environment: Mapping[str, str] = CLEAN_ENVIRONMENT,
        detached: bool = False,
    ) -> BackgroundProcess:
        """Start a program and return at once; None keeps this process's stream.

        A detached one has a session of its own: closing the terminal does not end it.

        Raises:
            UnfitError: the program is not installed.
        """
        name, *arguments = map(str, argv)
        return subprocess.Popen(  # argv list, absolute program
            [str(self._require_program(name)), *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(environment),
            cwd="/",
            start_new_session=detached,
        )

    def become(self, argv: Sequence[str | PurePath], environment: Mapping[str, str]) -> NoReturn:
        """Replace this process by a program, as execve(2) does.

        Raises:
            UnfitError: the program is not installed.
        """
        name, *arguments = map(str, argv)
        os.execve(self._require_program(name), [name, *arguments], dict(environment))  # noqa: S606 - argv list

    def _require_program(self, name: str) -> Path:
        program = self.find_program(name)
        if program is None:
            raise UnfitError(f"the program {name!r} is not installed", hint=f"looked in {', '.join(SYSTEM_PATH)}")
        return program

    def hang_up(self, pid: int, descriptor: int, peer: tuple[str, int]) -> bool:
        try:
            with _connection_of(pid, descriptor) as connection:
                if connection.getpeername()[:2] == peer:
                    connection.shutdown(socket.SHUT_RD)
        except OSError as error:
            return error.errno in (ESRCH, EBADF, ENOTSOCK, ENOTCONN)
        return True

    def find_program(self, name: str) -> Path | None:
        if name.startswith("/"):
            return Path(name) if os.access(name, os.X_OK) else None
        found = shutil.which(name, path=CLEAN_ENVIRONMENT["PATH"])
        return Path(found) if found else None

    def greeting(self, port: int, timeout: float = 2) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout) as connection:
                return connection.recv(512)
        except OSError:
            return b""

    def dialogue(self, address: str, port: int, commands: Sequence[str], timeout: float = 5) -> list[str]:
        deadline = time.monotonic() + timeout
        replies: list[str] = []
        try:
            with socket.create_connection((address, port), timeout) as connection, connection.makefile("rb") as lines:
                for command in ("", *commands):
                    if command:
                        connection.sendall(f"{command}\r\n".encode())
                    connection.settimeout(max(deadline - time.monotonic(), 0.001))
                    replies.append(_read_reply(lines))
                    if not replies[-1]:
                        break
        except OSError:
            pass
        return replies

    def outside_address(self) -> str | None:
        # Connecting a datagram socket asks the routing table only; addresses of RFC 5737 and 3849.
        for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as asking:
                    asking.connect((anywhere, 9))
                    return str(asking.getsockname()[0])
            except OSError:
                continue
        return None

    def has_user(self, name: str) -> bool:
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True


def _connection_of(pid: int, descriptor: int) -> socket.socket:
    """Another process's socket, as one of ours; pidfd_getfd(2), for which the C library may have no name."""
    import ctypes  # takes a while, and is needed rarely

    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        copy = libc.syscall(PIDFD_GETFD, process, descriptor, 0)
        if copy == -1:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
    finally:
        os.close(process)
    return socket.socket(fileno=copy)


def _read_reply(lines: BinaryIO) -> str:
    """One reply of RFC 5321 section 4.2.1: a hyphen after the code says that more lines follow."""
    reply = []
    for line in lines:
        reply.append(line.decode(errors="replace").rstrip())
        if line[3:4] != b"-":
            break
    return "\n".join(reply)


def _memory_file(name: str) -> BinaryIO:
    return open(os.memfd_create(name), "w+b")


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()
