"""`log-report` as somebody types it, or as cron runs it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.host import LocalHost
from tests.maillog.cli.programs import LOG_REPORT, MAILCTL, run

LOG = """\
Nov 20 09:00:00 mx postfix/smtpd[1]: connect from a.example[192.0.2.1]
Nov 20 09:00:01 mx postfix/smtpd[1]: 4FxBCDFGHz1J: client=a.example[192.0.2.1]
Nov 20 09:00:01 mx postfix/cleanup[2]: 4FxBCDFGHz1J: message-id=<x@a.example>
Nov 20 09:00:01 mx postfix/qmgr[3]: 4FxBCDFGHz1J: from=<Bob@a.example>, size=1000, nrcpt=1 (queue active)
Nov 20 09:00:02 mx postfix/smtp[4]: 4FxBCDFGHz1J: to=<c@gmail.com>, relay=mx.google.example[198.51.100.26]:25, \
delay=1.2, delays=0.1/0/0.5/0.6, dsn=4.7.28, status=deferred (host mx.google.example[198.51.100.26] said: \
421-4.7.28 Gmail has detected an unusual rate of unsolicited mail - gsmtp (in reply to end of DATA command))
Nov 20 09:01:02 mx postfix/smtp[4]: 4FxBCDFGHz1J: to=<c@gmail.com>, relay=mx.google.example[198.51.100.26]:25, \
delay=61, delays=60/0/0.5/0.6, dsn=2.0.0, status=sent (250 2.0.0 OK gsmtp)
Nov 20 09:01:02 mx postfix/qmgr[3]: 4FxBCDFGHz1J: removed
Nov 21 10:00:02 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <x@z.example>: \
Relay access denied; from=<\x1b]0;owned\x07@s.example> to=<x@z.example> proto=ESMTP helo=<<img src=x>>
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_text(LOG)
    os.utime(path, (1_795_600_000, 1_795_600_000))  # November 2026
    return path


def totals(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(done.stdout)["totals"]
    return found


def test_a_file_is_reported_on(log: Path) -> None:
    done = run(log)
    assert (done.returncode, done.stderr) == (0, "")
    assert "received             1" in done.stdout
    assert "we send too much, too fast" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_verb_and_the_command_are_the_same(log: Path) -> None:
    assert run("log-report", log, program=MAILCTL).stdout == run(log).stdout


def test_stdin_a_pipe_and_gzip_give_the_same_totals(log: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mail.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    expected = totals(run("--json", log))
    assert expected["delivered"] == 1
    assert expected["rejected"] == 1
    for arguments, stdin in ([packed], None), (["-"], LOG), ([], LOG):
        assert totals(run("--json", *arguments, stdin=stdin)) == expected


def test_the_systems_log_is_read_where_none_is_named(log: Path, tmp_path: Path) -> None:
    (tmp_path / "var/log").mkdir(parents=True)
    log.rename(tmp_path / "var/log/mail.log")
    # A timer's stdin is /dev/null, cron's an empty pipe.
    for stdin in None, "":
        assert totals(run("--json", "--root", tmp_path, stdin=stdin))["delivered"] == 1


def test_waiting_for_a_pipe_is_explained(tmp_path: Path) -> None:
    """As over ssh, where nobody types and the pipe stays open."""
    with subprocess.Popen(
        [LOG_REPORT, "--root", tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert b"standard input" in process.stderr.readline()
        process.communicate()


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_an_unreadable_log_is_66_with_a_sentence(name: str, tmp_path: Path) -> None:
    done = run(tmp_path / name)
    assert done.returncode == 66
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


def test_no_log_at_all_says_what_to_do(tmp_path: Path) -> None:
    done = run("--root", tmp_path, stdin=None)
    assert done.returncode == 66
    assert "hint: name the log" in done.stderr
    assert "--journal" not in done.stderr, "there is none below a folder"


def test_what_is_no_mail_log_is_said_to_be_none(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for content in (b"\x7fELF\0\1\n\0\0\n", b"Dear Bob,\nsee below.\n", b"one\n"):
        other.write_bytes(content)
        done = run(other)
        assert (done.returncode, "this is no mail log" in done.stderr, done.stdout) == (66, True, ""), content
    other.write_bytes(b"")
    assert run(other).returncode == 0, "an empty log is a log"
    other.write_bytes(b"Nov 20 09:00:00 mx kernel: x\n")
    assert run(other).returncode == 0


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/urandom"])
def test_a_device_that_never_ends_is_refused(device: str) -> None:
    done = run(device)
    assert (done.returncode, "a device" in done.stderr) == (66, True)
    assert run("/dev/null").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesteryear"],
        ["-d", "someday"],
        ["-d", "today", "--since", "1h"],
        ["--since", "2026-03-02", "--until", "2026-03-01"],
        ["--since", "999999w"],
        ["--tz", "Mars/Olympus"],
        ["--tz", "../../etc/passwd"],
        ["--format", "pdf"],
        ["--warning", "nothing=5"],
        ["--warning", "deferred=often"],
        ["--textfile", "."],
        ["--anonymise", "--unparsed", "x"],
        ["-h", "many"],
        ["-", "other.log"],
        ["--journal", "other.log"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_a_usage_error(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 64
    assert "Traceback" not in done.stderr


def test_cron_lines_of_pflogsumm_run(log: Path) -> None:
    lines = [
        "-h 20 -u 20 --problems_first -q",
        "-d yesterday --problems-first --rej-add-from --verbose-msg-detail -q",
        "--detail 5 --bounce-detail 0 --smtpd-stats --iso-date-time --zero-fill",
        "--no_bounce_detail --no_deferral_detail --no_reject_detail --no-no-msg-size --no-smtpd-warnings",
        "-i -m -e --verp-mung=2 --syslog-name=postfix",
        "--verp-mung",
        "-problems_first --prob --verb --zero -Q -U 5",
        "-help",
        "--version",
    ]
    for line in lines:
        done = run(*line.split(), log)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout


def test_only_what_is_not_done_gets_a_note(log: Path) -> None:
    done = run("-e", "-m", "-q", "-i", "--smtpd-stats", "--iso-date-time", "--zero-fill", "--no-no-msg-size", log)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("--rej-add-from", log)
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["--rej-add-from"]


def test_only_one_instance_counts_on_request(tmp_path: Path) -> None:
    """As in pflogsumm: the name asked for, and `postfix`, under which every instance begins to log."""
    log = tmp_path / "mail.log"
    instances = (("postfix", "J", "one"), ("postfix-out", "K", "two"), ("mx", "L", "three"))
    texts = (
        LOG.replace(" postfix/", f" {name}/").replace("Hz1J", f"Hz1{end}").replace("Bob@", f"{sender}@")
        for name, end, sender in instances
    )
    log.write_text("".join(texts))
    for arguments, received in (((), 3), (("--syslog-name", "mx"), 2), (("--syslog-name=(mx|postfix-out)",), 3)):
        assert totals(run("--json", *arguments, log))["received"] == received
    counted = run("--syslog-name=mx", "--json", "--state", tmp_path / "state", log)
    assert totals(counted)["received"] == 2
    detail = run("--syslog-name=postfix", "-e", "-u", "0", log).stdout
    assert ("one@a.example" in detail, "two@a.example" in detail) == (True, False)
    lives = map(json.loads, run("--syslog-name=postfix", "--format=jsonl", log).stdout.splitlines())
    assert [life["sender"] for life in lives if life["queue_id"]] == ["one@a.example"]


def test_the_beginning_of_a_long_name_is_enough_as_in_pflogsumm(log: Path) -> None:
    whole = run("--problems-first", "--bounce-detail=3", log).stdout
    assert run("--prob", "--bounce=3", log).stdout == run("-problems_first", "-bounce_detail=3", log).stdout == whole
    assert run("--no", log).returncode == 64, "it begins several"


def test_a_few_lines_for_each_message_on_request(log: Path) -> None:
    detail = run("-e", log).stdout.partition("Message detail\n")[2].splitlines()
    assert detail[0] == "  4FxBCDFGHz1J  Bob@a.example  1.0 kB from a.example[192.0.2.1]"
    assert detail[1].startswith("      c@gmail.com  deferred after 1.2 s by mx.google.example[198.51.100.26]:25: host")
    assert detail[2].endswith("sent after 61 s by mx.google.example[198.51.100.26]:25: 250 2.0.0 OK gsmtp")
    assert run("-e", stdin=LOG).stdout == run("-e", log).stdout
    assert "bob@a.example" in run("-e", "-i", log).stdout.partition("Message detail\n")[2]
    assert "none" in run("-e", "-d", "2026-11-21", log).stdout.partition("Message detail\n")[2]
    assert "a.example" not in run("-e", "--anonymise", log).stdout
    assert run("-e", "--state", log.with_name("state"), log).returncode == 64


def test_how_long_clients_stay_on_request(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(
        "Nov 20 09:59:50 mx postfix/smtpd[1]: connect from a.example[192.0.2.1]\n"
        "Nov 20 10:00:00 mx postfix/submission/smtpd[2]: connect from unknown[192.0.2.2]\n"
        "Nov 20 10:00:10 mx postfix/smtpd[1]: disconnect from a.example[192.0.2.1] quit=1 commands=1\n"
        "Nov 20 10:01:00 mx postfix/submission/smtpd[2]: disconnect from unknown[192.0.2.2] quit=1 commands=1\n"
        "Nov 20 10:02:00 mx postfix/smtpd[9]: disconnect from b.example[192.0.2.3] quit=1 commands=1\n"
    )
    shown = run("--smtpd-stats", log).stdout.partition("SMTP connections that ended\n")[2].splitlines()
    assert [line.split() for line in shown[1:]] == [
        ["2", "0:01:20", "0:00:40", "0:01:00", "in", "all"],
        ["1", "0:00:20", "0:00:20", "0:00:20", "09:00-10:00"],
        ["1", "0:01:00", "0:01:00", "0:01:00", "10:00-11:00"],
        ["1", "0:01:00", "0:01:00", "0:01:00", "192.0.2.2"],
        ["1", "0:00:20", "0:00:20", "0:00:20", "a.example"],
    ]


def test_h_u_and_q_have_pflogsumms_meaning(log: Path) -> None:
    whole, users, hosts = run(log).stdout, run("-u", "0", log).stdout, run("-h", "0", log).stdout
    assert "Bob@a.example" in whole
    assert "Nothing to list" in whole
    assert "Recipients" not in users
    assert "Recipient domains" in users
    assert "Recipient domains" not in hosts
    assert "Recipients" in hosts
    assert "Nothing to list" not in run("-q", log).stdout


def test_columns_are_those_that_the_environment_says(log: Path) -> None:
    log.write_text(LOG.replace("gmail.com", f"{'long.' * 40}example"))
    for columns in 80, 120:
        assert max(map(len, run(log, COLUMNS=str(columns)).stdout.splitlines())) == columns


def test_case_is_ignored_on_request(log: Path) -> None:
    assert "bob@a.example" in run("-i", log).stdout


def test_anonymised_reports_name_nobody(log: Path) -> None:
    done = run("--anonymise", "--json", log)
    assert done.returncode == 0, done.stderr
    for name in ("Bob", "a.example", "192.0.2.1", "203.0.113.9"):
        assert name not in done.stdout


def test_nagios_exits_with_its_states(log: Path) -> None:
    assert run("--format", "nagios", log).returncode == 0
    assert run("--format", "nagios", "--warning", "deferred=0", log).returncode == 1
    assert run("--format", "nagios", "--warning", "deferred=0", "--critical", "delay_max=60", log).returncode == 2
    done = run("--format", "nagios", "missing.log")
    assert done.returncode == 3
    assert done.stdout.startswith("MAIL UNKNOWN - ")


@pytest.mark.parametrize("format_", ["text", "json", "jsonl", "html", "csv", "prom", "nagios"])
def test_every_format_is_safe_and_ends_well(log: Path, format_: str) -> None:
    done = run("--format", format_, log)
    assert done.returncode == 0, done.stderr
    assert not [char for char in done.stdout if not char.isprintable() and char != "\n"]
    assert format_ != "html" or "<img" not in done.stdout


def test_a_terminal_that_knows_no_blocks_still_gets_the_report(log: Path) -> None:
    done = run(log, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert "received             1" in done.stdout


def test_colour_is_for_terminals_or_on_request(log: Path) -> None:
    assert "\x1b[1m" in run("--color", "always", log).stdout
    screen = _on_a_terminal([LOG_REPORT, str(log)])
    assert "\x1b[1m" in screen
    assert "\x1b]0;" not in screen


def _on_a_terminal(argv: list[str]) -> str:
    parent, child = pty.openpty()
    with subprocess.Popen(argv, stdin=child, stdout=child, stderr=child) as process:
        os.close(child)
        shown = b""
        try:
            while chunk := os.read(parent, 65536):
                shown += chunk
        except OSError:
            pass  # the other end closed: how a terminal says end of file
        process.wait(60)
    os.close(parent)
    return shown.decode()


def test_the_queue_is_added_on_request(require_tools: Callable[..., None], log: Path) -> None:
    require_tools("mailq")
    whole, queue = run("--mailq", log).stdout, LocalHost().run(["mailq"])
    said = (queue.stdout or queue.stderr).decode().strip().splitlines()[-1]
    assert said[:20] in whole.splitlines()[-1]
