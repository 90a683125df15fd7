"""plan --out and apply FILE: what was shown is done, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.test_change_verbs import HASH, Run, edit, run  # noqa: F401 - a fixture


@pytest.fixture
def saved(run: Run, tmp_path: Path) -> Path:  # noqa: F811
    assert run("plan", "--out", "change.plan").returncode == 0
    return tmp_path / "change.plan"


def test_a_saved_plan_is_applied_once(run: Run, saved: Path) -> None:  # noqa: F811
    assert saved.stat().st_mode & 0o777 == 0o600
    assert HASH not in saved.read_text()
    done = run("apply", "change.plan", "-y")
    assert done.returncode == 0, done.stderr
    again = run("apply", "change.plan", "-y")
    assert again.returncode == 75
    assert "changed since the plan was saved" in again.stderr


def test_a_spec_that_moved_makes_it_stale(run: Run, saved: Path, tmp_path: Path) -> None:  # noqa: F811
    edit(tmp_path, "5G", "6G")
    done = run("apply", "change.plan", "-y")
    assert done.returncode == 75
    assert "mailctl.yml changed since the plan was saved" in done.stderr
    assert not (tmp_path / "host/etc").exists()


def test_a_host_that_moved_makes_it_stale(run: Run, saved: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "host/etc/postfix").mkdir(parents=True)
    (tmp_path / "host/etc/postfix/main.cf").write_text("# by a package\n")
    done = run("apply", "change.plan", "-y")
    assert done.returncode == 75
    assert (tmp_path / "host/etc/postfix/main.cf").read_text() == "# by a package\n"


def test_another_file_is_no_plan(run: Run) -> None:  # noqa: F811
    done = run("apply", "mailctl.yml", "-y")
    assert done.returncode == 64
    assert "is no saved plan" in done.stderr
    assert run("apply", "nowhere.plan", "-y").returncode == 64
