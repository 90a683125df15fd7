"""`mailctl log trace`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.maillog.cli.programs import MAILCTL
from tests.maillog.formats.test_trace import LOG


def trace(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = [MAILCTL, "log", "trace", *map(str, arguments)]
    return subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_bytes(LOG)
    return path


def test_a_file_and_what_is_piped_in_tell_the_same(log: Path) -> None:
    done = trace("m1@example.org", log)
    assert done.returncode == 0, done.stderr
    assert b"accepted   from home.example" in done.stdout
    assert trace("m1@example.org", stdin=LOG).stdout == done.stdout
    assert trace("m1@example.org", "-", stdin=LOG).stdout == done.stdout


def test_json_is_one_object(log: Path) -> None:
    data = json.loads(trace("--json", "A00000000001", log).stdout)
    assert data["format_version"] == "1"
    assert [message["queue_id"] for message in data["messages"]] == ["A00000000001", "B00000000002", "C00000000003"]


def test_what_the_log_does_not_know_fails_with_a_hint(log: Path) -> None:
    done = trace("nobody@nowhere.example", log)
    assert done.returncode == 1
    assert b"nobody@nowhere.example" in done.stderr
    assert b"hint" in done.stderr


def test_a_missing_log_is_66(tmp_path: Path) -> None:
    done = trace("A00000000001", tmp_path / "missing.log")
    assert done.returncode == 66
    assert b"missing.log" in done.stderr


def test_a_queue_id_is_found_and_shown_as_it_is_written(tmp_path: Path) -> None:
    """Long queue ids differ by the case of a letter."""
    log = tmp_path / "mail.log"
    ids = ("4FxBCDFGHz1J", "4FxBCDFGHz1j")
    log.write_text("".join(f"Nov 20 09:00:01 mx postfix/smtpd[1]: {one}: client=a.example[192.0.2.1]\n" for one in ids))
    for queue_id in ids:
        found = json.loads(trace("--json", queue_id, log).stdout)
        assert found["key"] == queue_id
        assert [message["queue_id"] for message in found["messages"]] == [queue_id]
    done = trace("4fxbcdfghz1j", log)
    assert (done.returncode, b"capitals" in done.stderr) == (1, True)
