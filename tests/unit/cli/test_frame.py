"""The frame of the command line, run as a user runs it: exit codes, messages, colours, a closed pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.cli.ask import ask_new_password
from mailctl.cli.common import Session
from mailctl.cli.probe import show_report
from mailctl.cli.verbs import VERBS
from mailctl.errors import ExitCode
from mailctl.probe.result import Report, Result, skipped
from tests.waiting import catches, eventually


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailctl", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_help_lists_every_verb_with_its_line(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == ExitCode.OK
    text = " ".join(done.stdout.split())
    assert [verb for verb, line in VERBS.items() if f"{verb} {line}" not in text] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, tmp_path: Path) -> None:
    done = run(verb, "--help", cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    assert f"Usage: mailctl {verb}" in done.stdout


def test_a_misspelt_verb_gets_a_suggestion(tmp_path: Path) -> None:
    done = run("plam", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "no such command: 'plam'; did you mean 'plan'?" in done.stderr


def test_no_verb_prints_help_and_is_a_usage_error(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "Usage: mailctl" in done.stdout


def test_an_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    done = run("plan", "--frobnicate", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "--frobnicate" in done.stderr


def test_errors_are_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = run("--json", "validate", "-f", "absent.yml", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode != ExitCode.OK
    assert answer["format_version"] == "1"
    assert "absent.yml" in json.dumps(answer["diagnostics"])


def test_no_terminal_means_no_colour_and_always_means_colour(tmp_path: Path) -> None:
    assert "\x1b[" not in run("plam", cwd=tmp_path).stderr
    assert "\x1b[" in run("--color", "always", "plan", "-f", "absent.yml", cwd=tmp_path).stderr
    assert "\x1b[" in run("--color", "always", "plan", "-f", "absent.yml", cwd=tmp_path, NO_COLOR="1").stderr


def test_a_password_without_a_terminal_is_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailctl", "probe", "--target", "localhost", "--login", "ali@example.org"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # no terminal at all
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == (
        "mailctl: nobody is there to answer: Password of ali@example.org\n    hint: give it with --password-file\n"
    )


def test_two_passwords_that_differ_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["one", "other", "same", "same"])
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: next(answers))
    assert ask_new_password(Session(), "") == "same"
    assert "mailctl: the two are not the same; once more" in capsys.readouterr().err


def test_skipped_checks_that_lack_the_same_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def run_checks(announce: Callable[[Result], None]) -> Report:
        results = (
            skipped("a.one", "", "no password"),
            skipped("a.two", "", "no password"),
            skipped("b", "", "no port"),
        )
        for each in results:
            announce(each)
        return Report(results, 1.0)

    show_report(Session(), run_checks)
    assert capsys.readouterr().out.splitlines() == [
        "skip  2 checks (-v names them): no password",
        f"skip  {'b':<34} no port",
        "3 skip in 1.0 s",
    ]


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "mailctl", "schema"],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert done.returncode == ExitCode.FAILED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0, 0.02, 0.08, 0.5])
def test_a_signal_ends_it_with_one_sentence_however_early(tmp_path: Path, number: signal.Signals, delay: float) -> None:
    # It waits for a password; env: a test run in the background ignores Ctrl-C, and so would the program.
    command = ["env", "--default-signal=INT,TERM,HUP", sys.executable, "-m", "mailctl", "hash"]
    with subprocess.Popen(
        command, cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        # Python itself does not catch it.
        assert eventually(lambda: catches(process.pid, signal.SIGTERM), pause=0.001)
        time.sleep(delay)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (ExitCode.INTERRUPTED, "mailctl: interrupted")


def test_a_usage_error_is_json_wherever_json_was_asked_for(tmp_path: Path) -> None:
    done = run("plam", "--json", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "did you mean 'plan'?" in json.loads(done.stdout)["error"]


AS_NOBODY = """
import os
import mailctl.cli.apply, mailctl.apply.run  # before the privileges go: a checkout in /root can be read by root only
from mailctl.cli import main
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
main(["apply"])
"""


def test_the_live_system_needs_root(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert "needs root" in done.stderr, done.stderr
    assert done.returncode == ExitCode.NEEDS_ROOT
