"""Lines of JSON between the processes of a sandbox, over a socket the child finds as its stdin."""

from __future__ import annotations

import json
import socket
from typing import Any, Self

from mailctl.errors import MailctlError

STDIN = 0


class Channel:
    """One end. A message with the key `error` is raised where it is received."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._unread = b""

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Two connected ends; close the child's own one once the child runs, so that its death is noticed."""
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    @classmethod
    def to_parent(cls) -> Self:
        return cls(socket.socket(fileno=STDIN))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, **message: Any) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next message.

        Raises:
            MailctlError: the other end reported an error, ended, or said nothing for `timeout` seconds.
        """
        self._socket.settimeout(timeout)
        try:
            while b"\n" not in self._unread:
                chunk = self._socket.recv(65536)
                if not chunk:
                    raise MailctlError("a process of the sandbox ended before it was ready")
                self._unread += chunk
        except TimeoutError as error:
            raise MailctlError(f"a process of the sandbox was not ready within {timeout:g} s") from error
        line, _, self._unread = self._unread.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise MailctlError(message["error"])
        return message

    def close(self) -> None:
        self._socket.close()
