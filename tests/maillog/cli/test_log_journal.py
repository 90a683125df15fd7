"""`--journal`, with a real journal in a private mount namespace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.maillog.cli.programs import LOG_REPORT, MAILCTL, run

# From nothing to a journal of this machine that holds EXPORT, then the command; all of it is gone at the end.
SCRIPT = r"""
set -e
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
folder=/var/log/journal/$(cat /etc/machine-id)
mkdir -p "$folder"
/lib/systemd/systemd-journal-remote -o "$folder/system.journal" "$1" 2>/dev/null
shift
exec "$@"
"""

LINES = [
    ("postfix/smtpd", "connect from a.example[192.0.2.1]"),
    ("postfix/smtpd", "A00000000001: client=a.example[192.0.2.1]"),
    ("postfix/cleanup", "A00000000001: message-id=<1@a.example>"),
    ("postfix/qmgr", "A00000000001: from=<s@a.example>, size=100, nrcpt=1 (queue active)"),
    (
        "postfix/smtp",
        "A00000000001: to=<r@b.example>, relay=b.example[198.51.100.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 ok)",
    ),
    ("postfix/qmgr", "A00000000001: removed"),
]
FIRST_SECOND = 1_795_000_000
BOOT = "a" * 32


@pytest.fixture
def in_namespace(
    require_root: None, require_tools: Callable[..., None], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    require_tools("unshare", "journalctl", "/lib/systemd/systemd-journal-remote")
    export = tmp_path / "export"
    export.write_text("".join(map(_entry, range(len(LINES)))))

    def in_namespace(*command: str) -> subprocess.CompletedProcess[str]:
        shell = ["-m", "-f", "--kill-child", "sh", "-c", SCRIPT, "sh", export]
        return run(*shell, *command, program="/usr/bin/unshare", stdin=None)

    return in_namespace


def _entry(number: int, first_second: int = FIRST_SECOND) -> str:
    """systemd's Journal Export Format: fields, then an empty line."""
    program, text = LINES[number]
    second = first_second + number * 60
    fields = {
        "__REALTIME_TIMESTAMP": str(second * 1_000_000),
        "__MONOTONIC_TIMESTAMP": str((second - FIRST_SECOND + 1) * 1_000_000),
        "_BOOT_ID": BOOT,
        "_HOSTNAME": "mx",
        "SYSLOG_FACILITY": "2",
        "SYSLOG_IDENTIFIER": program,
        "SYSLOG_PID": "7",
        "PRIORITY": "6",
        "MESSAGE": text,
    }
    return "".join(f"{name}={value}\n" for name, value in fields.items()) + "\n"


def test_the_journal_is_reported_on(in_namespace: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = in_namespace(LOG_REPORT, "--journal", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["lines"] == {"total": 6, "parsed": 6, "unparsed": 0}
    assert data["totals"]["delivered"] == 1


@pytest.mark.parametrize("command", [[LOG_REPORT, "--json"], [MAILCTL, "log", "trace", "1@a.example"]], ids=str)
def test_the_journal_is_read_where_the_system_has_no_log_file(
    command: list[str], in_namespace: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = in_namespace(*command)
    assert done.returncode == 0, done.stderr
    assert "r@b.example" in done.stdout
    assert "this is the journal" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--journal"], ["--journal", "--state", "/run/state"]], ids=" ".join)
def test_a_machine_without_a_journal_says_so(
    arguments: list[str], require_root: None, require_tools: Callable[..., None]
) -> None:
    require_tools("unshare", "journalctl")
    empty = 'mount -t tmpfs tmpfs /var/log && mount -t tmpfs tmpfs /run && mkdir -p /var/log/journal && exec "$@"'
    done = run("-m", "sh", "-c", empty, "sh", LOG_REPORT, *arguments, program="/usr/bin/unshare", stdin=None)
    assert done.returncode == 66
    assert "no journal" in done.stderr
    assert "--journal" not in done.stderr


def test_a_period_of_the_journal(in_namespace: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = in_namespace(LOG_REPORT, "--journal", "--json", "--tz", "UTC", "--since", "2026-11-18T11:09:00")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lines"]["total"] == 3


def test_a_message_is_traced_in_the_journal(in_namespace: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = in_namespace(MAILCTL, "log", "trace", "--journal", "1@a.example")
    assert done.returncode == 0, done.stderr
    assert "delivered  <r@b.example>" in done.stdout


def test_entries_of_the_journal_count_once_with_a_state(
    in_namespace: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    report = f"{LOG_REPORT} --journal --json --state {tmp_path / 'state'}"
    # The journal as it is, then with what came an hour later, then unchanged.
    more = tmp_path / "more"
    later = "".join(_entry(number, FIRST_SECOND + 3600) for number in range(len(LINES)))
    more.write_text(later.replace("A00000000001", "A00000000002"))
    journal = "/var/log/journal/$(cat /etc/machine-id)/later.journal"
    add = f"/lib/systemd/systemd-journal-remote -o {journal} {more} >/dev/null 2>&1"
    done = in_namespace("sh", "-c", f"{report}; {add}; {report}; {report}")
    assert done.returncode == 0, done.stderr
    decoder, text, delivered = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        data, end = decoder.raw_decode(text)
        delivered.append(data["totals"]["delivered"])
        text = text[end:].strip()
    assert delivered == [1, 1, 0]
