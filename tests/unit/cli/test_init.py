"""init writes a spec that validates, says its password once, and never overwrites."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import ExitCode
from mailctl.spec.choices import Role
from mailctl.spec.load import load_spec


def run(*arguments: str, cwd: Path, answers: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailctl", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=answers,
        check=False,
    )


@pytest.mark.parametrize("role", list(Role))
def test_a_first_spec_of_every_role_is_valid(role: Role, tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    done = run("init", "-y", "--hostname", "mx1.example.org", "--role", role.value, cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    spec = load_spec(tmp_path / "mailctl.yml")
    assert spec.server.role is role
    assert list(spec.domains) == ["example.org"]


def test_the_password_is_said_once_and_kept_as_a_hash(tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    done = run("--json", "init", "-y", "--hostname", "mx1.example.org", "--mailbox", "ali", cwd=tmp_path)
    answer = json.loads(done.stdout)
    secret = tmp_path / "secrets" / "ali"
    assert answer["mailbox"] == "ali@example.org"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    check = subprocess.run(
        ["doveadm", "pw", "-t", secret.read_text().strip()],
        input=f"{answer['password']}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "verified" in check.stdout
    assert answer["password"] not in (tmp_path / "mailctl.yml").read_text()


def test_answers_are_asked_for_and_asked_again(tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    done = run("init", cwd=tmp_path, answers="nodot\nmx9.example.net\nfull\nexample.net\nzoe\n")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "'nodot' has no dot" in done.stderr
    spec = load_spec(tmp_path / "mailctl.yml")
    assert spec.server.hostname == "mx9.example.net"
    assert list(spec.domains["example.net"].mailboxes) == ["zoe"]


@pytest.mark.parametrize("options", [(), ("--no-input",)])
def test_nobody_who_answers_is_told_the_option(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run("init", *options, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "nobody is there to answer: Full name of the server\n    hint: give it with --hostname" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_next_steps_are_named_with_the_spec(tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    done = run("init", "-y", "-f", "my.yml", "--hostname", "mx1.example.org", cwd=tmp_path)
    verbs = [line.partition(" -f my.yml ")[0] for line in done.stdout.partition("next:\n")[2].splitlines()]
    assert verbs == [f"  mailctl {verb}" for verb in ("validate", "lab up", "plan", "apply", "dns records")]


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mailctl.yml").write_text("mine\n")
    done = run("init", "-y", "--hostname", "mx1.example.org", cwd=tmp_path)
    assert done.returncode == ExitCode.FAILED
    assert "exists already; nothing was written" in done.stderr
    assert (tmp_path / "mailctl.yml").read_text() == "mine\n"
    assert [each.name for each in tmp_path.iterdir()] == ["mailctl.yml"]


def test_a_wrong_option_is_a_usage_error(tmp_path: Path) -> None:
    done = run("init", "-y", "--hostname", "nodot", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "--hostname: " in done.stderr
    assert "fully qualified name" in done.stderr
    assert list(tmp_path.iterdir()) == []
