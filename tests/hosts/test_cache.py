"""What test hosts are made from is made once, stays while a run works with it, and goes when nobody wants it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts.harness.cache import UNUSED_AFTER, cached
from tests.hosts.harness.wheels import CHECKOUT

ANOTHER_RUN = """\
import signal
from tests.hosts.harness.cache import cached
print(cached("images", "old", lambda folder: None), flush=True)
signal.pause()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mailctl-hosts"


def make(folder: Path) -> None:
    (folder / "content").touch()


def age(folder: Path) -> None:
    long_ago = time.time() - UNUSED_AFTER - 60
    os.utime(folder, (long_ago, long_ago))


def test_a_folder_is_made_once_and_whole(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        cached("images", "a", lambda folder: 1 / 0)  # type: ignore[arg-type, return-value]
    assert cached("images", "a", make) == cache / "images-a"
    assert (cached("images", "a", lambda folder: 1 / 0) / "content").exists()  # type: ignore[arg-type, return-value]


def test_what_nobody_used_for_a_day_goes_with_its_kind(cache: Path) -> None:
    for name in ("images-old", "images-torn.making", "images-recent", "wheels-old"):
        make_unused = cache / name
        make_unused.mkdir(parents=True)
        make(make_unused)
        if "recent" not in name:
            age(make_unused)
    cached("images", "a", make)
    assert {each.name for each in cache.glob("*-*")} == {"images-a", "images-recent", "wheels-old"}


def test_what_another_run_works_with_stays_until_that_ends(cache: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ANOTHER_RUN], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as run:
        assert run.stdout is not None
        used = Path(run.stdout.readline().strip())
        age(used)
        cached("images", "a", make)
        assert used.exists()
        run.kill()
    cached("images", "a", make)
    assert not used.exists()
