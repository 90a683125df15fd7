"""The outside world of a sandbox, and the parent of its server: `python -m mailctl.sandbox.supervisor FOLDER`.

Runs in a network namespace of its own, with a channel to its parent as stdin. Ends when the server ends; the
server ends with it, however it dies.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mailctl.errors import MailctlError
from mailctl.host import LocalHost
from mailctl.sandbox.certificates import Authority
from mailctl.sandbox.channel import Channel
from mailctl.sandbox.launch import DIE_WITH_PARENT, PYTHON_ENVIRONMENT, START_TIMEOUT, python_module
from mailctl.sandbox.network import connect_outside
from mailctl.sandbox.process import Process
from mailctl.sandbox.settings import STATE, Settings, write_json

NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
STDERR = 2


def main() -> None:
    parent = Channel.to_parent()
    try:
        asyncio.run(_run(LocalHost(), Path(sys.argv[1]), parent))
    except (MailctlError, OSError) as error:
        parent.send(error=str(error))
        sys.exit(1)


async def _run(host: LocalHost, folder: Path, parent: Channel) -> None:
    authority = Authority(host, folder)
    authority.create()
    server, channel = _start_server(host, folder)
    await _serve_world(folder, authority)
    channel.receive(START_TIMEOUT)
    write_json(folder / STATE, {"supervisor": _process(os.getpid()), "server": _process(server)})
    parent.send(ready=True)
    await _end_of(server)


def _start_server(host: LocalHost, folder: Path) -> tuple[int, Channel]:
    """Process 1 of the server, by its id out here; it goes on alone until it is ready."""
    ours, theirs = Channel.pair()
    command = [*DIE_WITH_PARENT, *NAMESPACES, *python_module("mailctl.sandbox.init", str(folder))]
    host.spawn(command, stdin=theirs.fileno(), stdout=STDERR, environment=PYTHON_ENVIRONMENT)
    theirs.close()
    pid = ours.receive(START_TIMEOUT)["pid"]
    connect_outside(host, pid)
    ours.send(connected=True)
    return pid, ours


async def _serve_world(folder: Path, authority: Authority) -> None:
    # Imported while the server starts: together they take longer than everything else.
    from mailctl.sandbox.mailservers import MailServers
    from mailctl.sandbox.names import Names
    from mailctl.sandbox.nameserver import Nameserver

    names = Names(Settings.load(folder).hostname)
    await Nameserver(folder, names).serve()
    MailServers(folder, names, authority).serve()


def _process(pid: int) -> dict[str, Any]:
    found = Process.find(pid)
    if found is None:
        raise MailctlError("the server of the sandbox ended as soon as it was ready")
    return asdict(found)


async def _end_of(pid: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(os.pidfd_open(pid), ended.set)
    await ended.wait()


if __name__ == "__main__":
    main()
