"""The log socket of a sandbox: what rsyslog of Debian 12 does with mail, as little as that is."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mailctl.target import MAIL_LOG

OTHER_LOG = "var/log/syslog"
MAIL_FACILITY = 2  # RFC 3164 section 4.1.1
LARGEST_DATAGRAM = 65536

# `<22>Nov 22 13:21:25 postfix/qmgr[7]: ...`, as syslog(3) writes it.
_DATAGRAM = re.compile(rb"<(\d{1,3})>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?(.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class LogSocket:
    """Listens at `dev/log` below `root`; mail goes to mail.log, all else to syslog, stamped as RFC 3339."""

    def __init__(self, root: Path) -> None:
        self._host_name = socket.gethostname().encode()
        self._mail = _open_log(root / MAIL_LOG.relative_to("/"))
        self._other = _open_log(root / OTHER_LOG)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(root / "dev/log"))
        (root / "dev/log").chmod(0o666)

    def serve(self) -> None:
        """Write what arrives, for ever."""
        while True:
            self.write(self._socket.recv(LARGEST_DATAGRAM))

    def write(self, datagram: bytes) -> None:
        """One line per datagram; control characters as rsyslog writes them, `#012`."""
        match = _DATAGRAM.fullmatch(datagram.rstrip(b"\n\0"))
        priority, text = (int(match[1]), match[2]) if match else (0, datagram)
        clean = _CONTROL.sub(lambda found: b"#%03o" % found[0][0], text)
        stamp = datetime.now(UTC).isoformat(timespec="microseconds").encode()
        log = self._mail if priority >> 3 == MAIL_FACILITY else self._other
        log.write(b"%s %s %s\n" % (stamp, self._host_name, clean))

    def close(self) -> None:
        for each in (self._socket, self._mail, self._other):
            each.close()


def _open_log(path: Path) -> BinaryIO:
    # A new file: the one that may be there is the host's history.
    path.unlink(missing_ok=True)
    log = path.open("wb", buffering=0)
    path.chmod(0o640)
    return log
