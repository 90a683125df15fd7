"""Runs that follow each other: each line counts once, counters never go back."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.maillog.cli.programs import LOG_REPORT, run


def message(number: int) -> str:
    stamp, queue_id = f"2026-03-01T{9 + number // 60:02}:{number % 60:02}:00+00:00", f"A{number:011X}"
    return "".join(
        f"{stamp} mx postfix/{text}\n"
        for text in (
            f"smtpd[1]: connect from a.example[192.0.2.{number % 250}]",
            f"smtpd[1]: {queue_id}: client=a.example[192.0.2.1]",
            f"cleanup[2]: {queue_id}: message-id=<{number}@a.example>",
            f"qmgr[3]: {queue_id}: from=<s{number}@a.example>, size=100, nrcpt=1 (queue active)",
            f"smtp[4]: {queue_id}: to=<r@b.example>, relay=b.example[198.51.100.1]:25, delay=1, delays=0/0/0/1, "
            "dsn=2.0.0, status=sent (250 ok)",
            f"qmgr[3]: {queue_id}: removed",
        )
    )


def totals(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)["totals"]
    return found


def counter(folder: Path, name: str = "mailctl_mail_delivered_total") -> int:
    text = (folder / "mailctl_mail.prom").read_text()
    match = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
    assert match, text
    return int(match[1])


def test_a_state_counts_each_line_once_through_growth_and_rotation(tmp_path: Path) -> None:
    log, state = tmp_path / "mail.log", tmp_path / "state"
    expected = []
    log.write_text("".join(map(message, range(5))))
    expected.append(totals(run("--json", "--state", state, log))["delivered"])
    with log.open("a") as file:
        file.write("".join(map(message, range(5, 8))))
    expected.append(totals(run("--json", "--state", state, log))["delivered"])
    with log.open("a") as file:
        file.write(message(8))
    log.rename(tmp_path / "mail.log.1")
    log.write_text(message(9))
    expected.append(totals(run("--json", "--state", state, log))["delivered"])
    expected.append(totals(run("--json", "--state", state, log))["delivered"])
    assert expected == [5, 3, 2, 0]
    assert state.stat().st_mode & 0o777 == 0o600


def test_the_textfile_only_grows_and_is_readable_by_the_exporter(tmp_path: Path) -> None:
    log, folder = tmp_path / "mail.log", tmp_path / "textfile"
    folder.mkdir()
    seen = []
    for start in (0, 10, 20):
        if start == 20:
            (tmp_path / "mail.log.1").write_bytes(log.read_bytes())
            log.write_text("")  # copytruncate
        with log.open("a") as file:
            file.write("".join(map(message, range(start, start + 10))))
        done = run("--state", tmp_path / "state", "--textfile", folder, log)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        seen.append(counter(folder))
    assert seen == [10, 20, 30]
    assert counter(folder, "postfix_smtpd_connects_total") == 30
    assert (folder / "mailctl_mail.prom").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in folder.iterdir()] == ["mailctl_mail.prom"]


@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO:signal=KILL"], ids=["after the call", "instead of it"])
def test_a_run_killed_at_any_time_doubles_and_loses_nothing(
    tmp_path: Path, require_tools: Callable[..., None], fault: str
) -> None:
    require_tools("strace")
    log, folder, state = tmp_path / "mail.log", tmp_path / "textfile", tmp_path / "state"
    folder.mkdir()
    log.write_text("".join(map(message, range(300))))
    killed_at: list[str] = []
    argv = [LOG_REPORT, "--state", str(state), "--textfile", str(folder), str(log)]
    for call in ("fsync", "rename"):
        for number in (1, 2):
            inject = f"inject={call}:{fault}:when={number}"
            strace = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
            killed = subprocess.run([*strace, *argv], capture_output=True, check=False, timeout=120)
            assert killed.returncode == -signal.SIGKILL, (inject, killed.stderr)
            with log.open("a") as file:
                file.write(message(300 + len(killed_at)))
            killed_at.append(inject)
    done = run(*argv[1:])
    assert done.returncode == 0, done.stderr
    assert counter(folder) == 300 + len(killed_at)


def test_a_torn_state_is_said_and_nothing_is_counted(tmp_path: Path) -> None:
    log, state = tmp_path / "mail.log", tmp_path / "state"
    log.write_text(message(0))
    state.write_text('{"version": 1, "posit')
    done = run("--state", state, log)
    assert done.returncode == 66
    assert str(state) in done.stderr


@pytest.mark.parametrize("arguments", [["--since", "1h"], ["-d", "today"], ["--follow"]], ids=" ".join)
def test_a_state_has_a_period_of_its_own(tmp_path: Path, arguments: list[str]) -> None:
    assert run("--state", tmp_path / "state", *arguments, tmp_path / "mail.log").returncode == 64


def test_a_state_needs_a_file_that_stays(tmp_path: Path) -> None:
    done = run("--state", tmp_path / "state", "-", stdin=message(0))
    assert done.returncode == 64
    assert "stream" in done.stderr


def test_a_missing_textfile_folder_is_said(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(message(0))
    done = run("--state", tmp_path / "state", "--textfile", tmp_path / "nowhere", log)
    assert done.returncode == 69
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("packed", [False, True])
def test_since_and_until_bound_what_is_counted(tmp_path: Path, packed: bool) -> None:
    log = tmp_path / "mail.log"
    text = "".join(map(message, range(120))).encode()
    log.write_bytes(gzip.compress(text) if packed else text)
    period = ["--since", "2026-03-01T09:10:00Z", "--until", "2026-03-01T10:05:00Z"]
    assert totals(run("--json", *period, log))["delivered"] == 55
    assert totals(run("--json", "-d", "2026-03-01", "--tz", "UTC", log))["delivered"] == 120
    assert totals(run("--json", "-d", "2026-03-02", "--tz", "UTC", log))["delivered"] == 0
    assert len(run("--format", "jsonl", *period, log).stdout.splitlines()) == 55


@pytest.mark.parametrize("arguments", [["--format", "jsonl"], ["--smtpd-stats"], []], ids=" ".join)
def test_a_damaged_stamp_does_not_end_a_period(tmp_path: Path, arguments: list[str]) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(message(0).replace("T09:00:00+00:00", "T09:\udcff").encode(errors="surrogateescape"))
    done = run(*arguments, "--since", "2026-03-01", log)
    assert (done.returncode, done.stderr) == (0, "")


def test_lines_that_are_not_understood_are_written_for_their_owner_only(tmp_path: Path) -> None:
    log, unparsed = tmp_path / "mail.log", tmp_path / "unparsed"
    strange = "2026-03-01T09:00:00+00:00 mx postfix/smtpd[1]: something nobody has ever seen\n"
    log.write_text(message(0) + strange + message(1))
    done = run("--json", "--unparsed", unparsed, log)
    assert json.loads(done.stdout)["lines"]["unparsed"] == 1
    assert unparsed.read_text() == strange
    assert unparsed.stat().st_mode & 0o777 == 0o600
    run("--unparsed", unparsed, log)
    assert unparsed.read_text() == strange


@contextmanager
def following(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command on a terminal, and the end of the terminal where its screen can be read."""
    screen, terminal = pty.openpty()
    argv = [LOG_REPORT, "--follow", *map(str, arguments)]
    process = subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    try:
        yield process, screen
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def wait_for(screen: int, words: str) -> str:
    shown = ""
    deadline = time.monotonic() + 60
    while words not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(screen, 65536).decode(errors="replace")
    return shown


def test_the_live_screen_shows_what_is_written_meanwhile_also_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(message(0))
    with following(log) as (process, screen):
        wait_for(screen, "6 lines")
        with log.open("a") as file:
            file.write(message(1))
        wait_for(screen, "12 lines")
        log.rename(tmp_path / "mail.log.1")
        log.write_text(message(2))
        wait_for(screen, "18 lines")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_messages_can_be_followed_one_by_one(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(message(0))
    with following("--format", "jsonl", log) as (_, screen):
        wait_for(screen, "A00000000000")
        with log.open("a") as file:
            file.write(message(1))
        assert '"sender": "s1@a.example"' in wait_for(screen, "A00000000001")


def test_a_live_screen_needs_a_terminal_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(message(0))
    assert run("--follow", tmp_path / "mail.log").returncode == 64
    assert run("--follow", "--format", "json", tmp_path / "mail.log").returncode == 64
    assert run("--follow", "--format", "jsonl", tmp_path / "mistyped.log").returncode == 66
