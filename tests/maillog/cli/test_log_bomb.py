"""What unpacks to far more than it is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.maillog.cli.programs import LOG_REPORT, MAILCTL, run

BOMB = 200 << 20
ENOUGH = 192 << 20
"""Bytes of memory: less than what the bomb unpacks to."""


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [(LOG_REPORT, [], "3 lines, 1 of them not understood"), (MAILCTL, ["log", "trace", "4F0A1B2C"], "removed")],
)
def test_a_gzip_bomb_is_read_in_little_memory(tmp_path: Path, program: str, arguments: list[str], words: str) -> None:
    log, stamp = tmp_path / "mail.log.gz", b"2026-03-01T06:00:00Z mx postfix/"
    with gzip.open(log, "wb", compresslevel=1) as file:
        file.write(stamp + b"smtpd[1]: 4F0A1B2C: client=a[192.0.2.1]\n")
        for _ in range(BOMB >> 20):
            file.write(bytes(1 << 20))
        file.write(b"\n" + stamp + b"qmgr[1]: 4F0A1B2C: removed\n")
    assert log.stat().st_size < BOMB / 100
    done = run(f"--as={ENOUGH}", program, *arguments, log, program="prlimit")
    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout
