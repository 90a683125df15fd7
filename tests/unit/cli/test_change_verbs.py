"""render, plan, apply, rollback and history as an ordinary user runs them on a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import ExitCode

HASH = "{SHA512-CRYPT}$6$aaaaaaaaaaaaaaaa$" + "b" * 86
SPEC = f"""\
version: 1
server: {{hostname: mx1.example.org}}
tls: {{self_signed: true}}
domains:
  example.org:
    dkim: {{selector: s1}}
    mailboxes:
      ali: {{password: {{hash: "{HASH}"}}, quota: 5G}}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a verb in a folder with a spec; the folder `host` stands for the machine."""
    (tmp_path / "mailctl.yml").write_text(SPEC)
    (tmp_path / "host").mkdir()

    def run_verb(*arguments: str, root: bool = True) -> subprocess.CompletedProcess[str]:
        options = ("--root", "host") if root else ()
        return subprocess.run(
            [sys.executable, "-m", "mailctl", *arguments, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run_verb


def edit(folder: Path, before: str, after: str) -> None:
    path = folder / "mailctl.yml"
    path.write_text(path.read_text().replace(before, after))


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted((folder / "host").rglob("*"))}


def test_plan_apply_change_rollback(run: Run, tmp_path: Path) -> None:
    plan = run("plan", "--detailed-exitcode")
    assert plan.returncode == ExitCode.DIFFERENCES
    assert "+ mailbox ali@example.org  quota 5G  mailctl.yml:8" in plan.stdout
    applied = run("apply", "-y")
    assert applied.returncode == ExitCode.OK, applied.stderr
    assert "Generation 1 serves." in applied.stderr
    before = state(tmp_path)
    again = run("apply", "-y")
    assert again.stdout == "No changes. The server is what the spec says.\n"
    assert state(tmp_path) == before
    edit(tmp_path, "5G", "6G")
    assert "~ mailbox ali@example.org  quota 5G → 6G  mailctl.yml:8\n" in run("apply", "-y").stdout
    assert "quota 6G → 5G" in run("rollback", "-y").stdout
    history = json.loads(run("history", "--json").stdout)
    assert (history["current"], [each["number"] for each in history["generations"]]) == (1, [2, 1])
    assert run("plan", "--detailed-exitcode").returncode == ExitCode.DIFFERENCES


def test_a_dry_run_changes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("apply", "--check", "--diff", "--detailed-exitcode")
    assert done.returncode == ExitCode.DIFFERENCES
    assert "+myhostname = mx1.example.org" in done.stdout
    assert state(tmp_path) == {}


def test_nobody_is_there_to_answer(run: Run, tmp_path: Path) -> None:
    done = run("apply")
    assert done.returncode == ExitCode.USAGE
    assert "add -y to go on without a question" in done.stderr
    assert state(tmp_path) == {}


def test_rollback_does_not_need_the_spec(run: Run, tmp_path: Path) -> None:
    run("apply", "-y")
    (tmp_path / "mailctl.yml").unlink()
    done = run("rollback", "-y", "0")
    assert done.returncode == ExitCode.OK, done.stderr
    assert not list((tmp_path / "host/etc").rglob("*.cf"))


def test_json_of_apply_is_one_object_with_the_new_number(run: Run) -> None:
    data = json.loads(run("apply", "-y", "--json").stdout)
    assert data["format_version"] == "1"
    assert data["applied"] == 1
    assert {"action", "path", "diff"} <= data["files"][0].keys()
    assert json.loads(run("plan", "--json").stdout)["empty"] is True


def test_json_of_an_apply_without_changes_says_that_nothing_was_applied(run: Run) -> None:
    run("apply", "-y")
    assert json.loads(run("apply", "-y", "--json").stdout)["applied"] is None
    assert json.loads(run("apply", "--check", "--json").stdout)["applied"] is None


def test_quiet_is_quiet_where_nobody_is_asked(run: Run, tmp_path: Path) -> None:
    for verb in (("apply", "-y"), ("apply", "-y"), ("rollback", "-y")):
        done = run(*verb, "-q")
        assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, "", "")
    assert "+ mailbox ali@example.org" in run("apply", "-q").stdout


def test_history_marks_the_state_before_the_first_apply(run: Run) -> None:
    run("apply", "-y")
    run("rollback", "-y", "0")
    assert [line[:6] for line in run("history").stdout.splitlines() if line.startswith("*")] == ["*    0"]
    again = run("rollback", "-y")
    assert again.returncode == ExitCode.USAGE
    assert "nothing to go back from: generation 0 serves" in again.stderr


def test_no_verb_prints_a_secret(run: Run) -> None:
    said = "".join(
        done.stdout + done.stderr
        for done in (run("plan", "-v"), run("plan", "-v", "--json"), run("apply", "-y", "-v"), run("history", "--json"))
    )
    assert "b" * 86 not in said


def test_what_cannot_be_written_is_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "host/var").write_text("")
    done = run("apply", "-y")
    assert done.returncode == ExitCode.FAILED
    assert "Traceback" not in done.stderr
    assert "host/var" in done.stderr


def test_render_writes_a_tree_that_it_may_replace(run: Run, tmp_path: Path) -> None:
    assert run("render", "-o", "out", root=False).returncode == ExitCode.OK
    out = tmp_path / "out"
    users = out / "etc/dovecot/mailctl.users"
    assert users.stat().st_mode & 0o777 == 0o600
    manifest = json.loads((out / "mailctl-manifest.json").read_text())
    owners = {each["path"]: (each["owner"], each["group"]) for each in manifest["files"]}
    assert owners["/etc/dovecot/mailctl.users"] == ("root", "dovecot")
    edit(tmp_path, "    dkim: {selector: s1}\n", "")
    assert run("render", "-o", "out", root=False).returncode == ExitCode.OK
    assert not (out / "etc/opendkim.conf").exists()


def test_render_leaves_a_folder_of_something_else_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("keep")
    done = run("render", "-o", "mine", root=False)
    assert done.returncode == ExitCode.USAGE
    assert "is not empty and no earlier render" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]
