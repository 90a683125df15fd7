"""validate, explain, schema and hash, run as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import ExitCode

GOOD = "version: 1\nserver: {hostname: mx1.example.org}\ntls: {self_signed: true}\n"


def run(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "mailctl", *arguments], capture_output=True, cwd=cwd, input=stdin, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("a@b@c.example", "'a@b@c.example' holds more than one @"),
        ("@example.org", "'@example.org' has nothing before its @"),
        ("", "ADDRESS is empty"),
    ],
)
def test_an_address_that_is_none_is_told_as_such(address: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(GOOD)
    done = run("route", address, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert says in done.stderr


def test_an_address_may_be_written_as_in_a_log(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(GOOD)
    plain = run("route", "ali@far.example", cwd=tmp_path)
    assert run("route", "<ali@far.example>", cwd=tmp_path).stdout == plain.stdout != ""


def test_a_sound_spec_is_called_so_and_what_was_not_checked_is_named(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(GOOD)
    done = run("validate", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (ExitCode.OK, "mailctl.yml: no problems, no warnings\n")
    assert "not checked here: what the services say of the rendered files" in done.stderr


def test_problems_are_printed_with_their_lines_and_counted(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(f"{GOOD}quota: {{mailbox: 5 gigs}}\nqouta: {{}}\n")
    done = run("validate", cwd=tmp_path)
    assert done.returncode == ExitCode.SPEC_INVALID
    assert "mailctl.yml:4:18: quota.mailbox: '5 gigs' is not a size" in done.stdout
    assert f"    quota: {{mailbox: 5 gigs}}\n    {' ' * 17}^\n" in done.stdout
    assert done.stdout.endswith("mailctl.yml: 2 problems, no warnings\n")


def test_json_carries_the_same(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(f"{GOOD}qouta: {{}}\n")
    done = run("validate", "--json", cwd=tmp_path)
    data = json.loads(done.stdout)
    assert (data["valid"], data["format_version"], done.returncode) == (False, "1", ExitCode.SPEC_INVALID)
    assert data["diagnostics"] == [
        {
            "file": "mailctl.yml",
            "line": 4,
            "column": 1,
            "path": "",
            "message": "unknown key 'qouta'",
            "hint": "did you mean 'quota'?",
            "severity": "error",
        }
    ]


def test_a_setting_of_postfix_that_is_managed_is_a_problem_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text(f"{GOOD}postfix:\n  main:\n    myhostname: other.example.org\n")
    done = run("validate", cwd=tmp_path)
    assert done.returncode == ExitCode.SPEC_INVALID
    assert "mailctl.yml:6:5: postfix.main.myhostname: myhostname is managed by mailctl" in done.stdout
    assert "        myhostname: other.example.org\n        ^\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected", "code"),
    [
        (("-f", "none.yml"), "none.yml: cannot read it: no such file or directory", ExitCode.SPEC_INVALID),
        (("-f", "."), ".: cannot read it: is a directory", ExitCode.SPEC_INVALID),
        ((), "no spec: neither mailctl.yml nor /etc/mailctl/mailctl.yml exists", ExitCode.USAGE),
    ],
)
def test_a_spec_that_is_not_there(
    arguments: tuple[str, ...], expected: str, code: ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILCTL_SPEC", raising=False)
    done = run("validate", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert expected in done.stdout + done.stderr


def test_explain_prints_what_the_model_says(tmp_path: Path) -> None:
    done = run("explain", "domains.mailboxes.quota", cwd=tmp_path)
    assert done.returncode == ExitCode.OK
    for line in ("  type:       size", "  default:    null", "  example:    5G", "  renders to: userdb_quota_rule"):
        assert line in done.stdout
    assert "domains" in run("explain", cwd=tmp_path).stdout
    assert json.loads(run("explain", "--json", "tls", cwd=tmp_path).stdout)["key"] == "tls"
    assert run("explain", "quta", cwd=tmp_path).returncode == ExitCode.USAGE


def test_schema_prints_json_that_can_be_saved_as_it_is(tmp_path: Path) -> None:
    for arguments in (("schema",), ("schema", "--json")):
        assert json.loads(run(*arguments, cwd=tmp_path).stdout)["required"] == ["version", "server", "tls"]


def test_hash_reads_one_line_from_stdin_and_the_spec_takes_what_it_prints(
    tmp_path: Path, require_tools: Callable[..., None]
) -> None:
    require_tools("doveadm")
    done = run("hash", cwd=tmp_path, stdin=b"correct horse\nignored\n")
    assert done.returncode == ExitCode.OK
    assert (
        "(verified)"
        in subprocess.run(
            ["doveadm", "pw", "-t", done.stdout.strip(), "-p", "correct horse"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    (tmp_path / "ali").write_text(done.stdout)
    (tmp_path / "mailctl.yml").write_text(
        f"{GOOD}domains: {{example.org: {{mailboxes: {{ali: {{password: {{file: ali}}}}}}}}}}\n"
    )
    assert run("validate", cwd=tmp_path).returncode == ExitCode.OK


def test_hash_refuses_what_would_not_work(tmp_path: Path) -> None:
    assert run("hash", cwd=tmp_path).returncode == ExitCode.USAGE
    done = run("hash", "--scheme", "MD5", cwd=tmp_path, stdin=b"x\n")
    assert done.returncode == ExitCode.USAGE
    assert "choose ARGON2ID, SHA512-CRYPT, BLF-CRYPT" in done.stderr
