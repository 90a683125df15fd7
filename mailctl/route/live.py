"""The configuration that serves, asked with postconf and `postmap -q`; nothing is changed and nothing is sent."""

from __future__ import annotations

from mailctl.components.postfix.cf import main_parameters
from mailctl.errors import MailctlError, UsageError
from mailctl.host import Host
from mailctl.target import Target


class LiveServer:
    """A Server that is the host's own Postfix, running or not.

    Raises:
        UsageError: the host is a folder.
        MailctlError: its main.cf or a table of it cannot be read.
    """

    def __init__(self, host: Host, target: Target) -> None:
        if not host.is_live():
            raise UsageError("a folder has no server to ask", hint="leave out --root, or --live")
        self._host = host
        self._folder = host.path(target.postfix_dir)
        done = host.run(["postconf", "-c", self._folder, "-x"])
        if done.returncode:
            raise MailctlError(f"the server's main.cf cannot be read: {done.complaint}")
        self._parameters = main_parameters(done.stdout.decode(errors="replace"))

    def parameter(self, name: str) -> str:
        return self._parameters.get(name, "")

    def ask(self, table: str, key: str) -> str | None:
        done = self._host.run(["postmap", "-c", self._folder, "-q", key, table])
        # Exit status 1 without a word means that the key is not there.
        if done.stderr or done.returncode > 1:
            raise MailctlError(
                f"the server's table {table} cannot be asked: {done.complaint}",
                hint="relay passwords and other private tables need root",
            )
        return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else None
