from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailctl.sandbox.syslog import LogSocket


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogSocket]:
    (tmp_path / "dev").mkdir()
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "var/log/mail.log").write_text("the host's own history\n")
    log = LogSocket(tmp_path)
    yield log
    log.close()


def test_mail_goes_to_the_mail_log_as_rsyslog_writes_it(log: LogSocket, tmp_path: Path) -> None:
    log.write(b"<22>Nov 22 13:21:25 postfix/qmgr[7]: 4Fx1: removed")
    line = (tmp_path / "var/log/mail.log").read_text()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
    assert re.fullmatch(rf"{stamp} \S+ postfix/qmgr\[7\]: 4Fx1: removed\n", line)


def test_other_facilities_go_elsewhere(log: LogSocket, tmp_path: Path) -> None:
    log.write(b"<13>Nov 22 13:21:25 root: hello")
    assert (tmp_path / "var/log/mail.log").read_bytes() == b""
    assert "root: hello" in (tmp_path / "var/log/syslog").read_text()


@pytest.mark.parametrize("ending", [b"\n", b"\0"])
def test_one_datagram_is_one_line(log: LogSocket, tmp_path: Path, ending: bytes) -> None:
    log.write(b"<22>Nov 22 13:21:25 a[1]: one\ntwo\x1b[31m" + ending)
    text = (tmp_path / "var/log/mail.log").read_bytes()
    assert text.count(b"\n") == 1
    assert b"one#012two#033[31m\n" in text


def test_a_datagram_without_a_header_is_kept(log: LogSocket, tmp_path: Path) -> None:
    log.write(b"no header at all")
    assert "no header at all" in (tmp_path / "var/log/syslog").read_text()
