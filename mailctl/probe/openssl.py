"""What Python's ssl does not show: openssl s_client(1) as a client of the server under probe."""

from __future__ import annotations

import os
import re
from tempfile import TemporaryFile
from typing import BinaryIO

from mailctl.host import LocalHost
from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import CannotTellError

MOST_SAID = 2**20  # bytes of output, whatever the server sends; prlimit(1)
# Asked while the greeting is on its way, the server would answer with that instead.
_GREETED = re.compile(rb"^(?:220|250|\* OK) ", re.MULTILINE)


def require_openssl() -> None:
    """Raises CannotTellError where it is not installed."""
    if LocalHost().find_program("openssl") is None:
        raise CannotTellError("openssl is not installed")


def converse(arena: Arena, transport: Transport, version: str, line: bytes) -> bytes:
    """Everything s_client prints until the connection ends, where `line` is typed after the greeting.

    Args:
        version: its option, such as `-tls1_2`.
        line: a command of the protocol in lower case; one letter in upper case is for s_client itself.
    """
    endpoint = arena.vantage.endpoint(transport.port, arena.families[0])
    starttls = ("-starttls", "smtp") if transport.starts_tls else ()
    argv = (
        *("prlimit", f"--fsize={MOST_SAID}", "openssl", "s_client", version, "-crlf"),
        *(*starttls, "-connect", f"{endpoint.address}:{endpoint.port}"),
    )
    reading, writing = os.pipe()
    with TemporaryFile() as output, open(writing, "wb", buffering=0) as stdin:
        process = LocalHost().spawn(argv, stdin=reading, stdout=output.fileno(), stderr=output.fileno())
        os.close(reading)
        try:
            arena.wait_until(lambda: _GREETED.search(_content(output)) is not None, arena.vantage.patience)
            stdin.write(line + b"\n")
            if not arena.wait_until(lambda: process.poll() is not None, arena.vantage.patience):
                stdin.close()  # at its end s_client writes down what it has heard so far
                arena.wait_until(lambda: process.poll() is not None, arena.vantage.patience)
        finally:
            process.kill()
            process.wait()
        return _content(output)


def _content(file: BinaryIO) -> bytes:
    return os.pread(file.fileno(), MOST_SAID, 0)
