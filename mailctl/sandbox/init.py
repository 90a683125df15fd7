"""Process 1 of a sandbox's server: makes its file system, serves its log socket, reaps what it inherits.

`python -m mailctl.sandbox.init FOLDER`, in fresh namespaces, with a channel to the supervisor as stdin.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from mailctl.errors import MailctlError
from mailctl.host import LocalHost
from mailctl.sandbox.channel import Channel
from mailctl.sandbox.filesystem import make_filesystem
from mailctl.sandbox.launch import START_TIMEOUT
from mailctl.sandbox.network import connect_server
from mailctl.sandbox.settings import Settings
from mailctl.sandbox.syslog import LogSocket


def main() -> None:
    supervisor = Channel.to_parent()
    # /proc is still the one of outside, so this is the id out there.
    supervisor.send(pid=int(Path("/proc/self").readlink().name))
    try:
        log = _set_up(LocalHost(), Path(sys.argv[1]), supervisor)
    except (MailctlError, OSError) as error:
        supervisor.send(error=str(error))
        sys.exit(1)
    signal.signal(signal.SIGCHLD, _reap)
    supervisor.send(ready=True)
    log.serve()


def _set_up(host: LocalHost, folder: Path, supervisor: Channel) -> LogSocket:
    make_filesystem(host, Settings.load(folder), folder)
    supervisor.receive(START_TIMEOUT)
    connect_server(host)
    return LogSocket(Path("/"))


def _reap(number: int, frame: FrameType | None) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass  # none left


if __name__ == "__main__":
    main()
