"""What applies leave: the same disk and descriptors after many as after some, the same bytes from any surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.apply.generation import KEPT_GENERATIONS
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from mailctl.spec.load import load_spec
from tests.crash.files import Machine, make_scenes
from tests.crash.sweep import contents

APPLIES = int(os.environ.get("MAILCTL_APPLIES", "60"))


def measure(machine: Machine) -> tuple[int, int, int]:
    """Files and directories, bytes in them, and descriptors of this process."""
    paths = list(machine.folder.rglob("*"))
    size = sum(path.stat().st_size for path in paths if path.is_file())
    return len(paths), size, len(list(Path("/proc/self/fd").iterdir()))


def test_many_applies_take_no_more_room_than_some(tmp_path: Path) -> None:
    make_scenes(tmp_path)
    specs = [load_spec(tmp_path / name) for name in ("old.yml", "new.yml")]
    machine = Machine(tmp_path / "many")
    machine.folder.mkdir()
    found = {}
    for number in range(APPLIES):
        machine.apply(specs[number % 2])
        if number % 2 and number > 2 * KEPT_GENERATIONS:
            found[number] = measure(machine)
    first, last = found[min(found)], found[max(found)]
    assert (first[0], first[2]) == (last[0], last[2])
    # Numbers get longer: 99 becomes 100 in some places.
    assert abs(first[1] - last[1]) < 1000


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder of programs and modules that must never run."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in ("postconf", "postmap", "openssl", "doveconf", "ss", "sh"):
        (folder / name).write_text(f"#!/bin/sh\n: > {tmp_path}/ran\n")  # touch(1) is not on their PATH
        (folder / name).chmod(0o755)
    for name in ("json.py", "click.py"):
        (folder / name).write_text(f"open('{tmp_path}/ran', 'w')\n")
    return folder


NOBODY = ("unshare", "--user")  # the user 65534, who may still read what is root's


@pytest.mark.parametrize(
    ("surroundings", "prefix"),
    [
        ({"PATH": "{evil}", "MAIL_CONFIG": "{evil}", "MAIL_VERBOSE": "1", "MAIL_DEBUG": "1"}, ()),
        ({"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}, ()),
        ({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}, ()),
        ({"OPENSSL_CONF": "{evil}/none", "HOME": "{evil}", "TMPDIR": "/nowhere"}, ()),
        ({"SUDO_USER": "ali", "PYTHONHASHSEED": "7"}, NOBODY),
    ],
    ids=("programs", "turkish", "ascii", "files", "another user"),
)
def test_the_surroundings_change_nothing(
    surroundings: dict[str, str],
    prefix: tuple[str, ...],
    evil: Path,
    tmp_path: Path,
    require_root: None,
    require_tools: Callable[..., None],
) -> None:
    require_tools("unshare")
    make_scenes(tmp_path)
    results = []
    for name, environment, before in (("plain", {}, ()), ("odd", surroundings, prefix)):
        folder = tmp_path / name
        folder.mkdir()
        words = (sys.executable, "-P", "-m", "mailctl", "-f", str(tmp_path / "old.yml"), "apply", "-y", "--root")
        odd = {key: value.format(evil=evil) for key, value in environment.items()}
        place = evil if environment else tmp_path
        done = subprocess.run(
            [*before, *words, str(folder)], env=PYTHON_ENVIRONMENT | odd, cwd=place, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        results.append(contents(folder / "etc"))
    assert results[0] == results[1]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_stops_no_apply(closed: str, tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("sh")
    make_scenes(tmp_path)
    (tmp_path / "machine").mkdir()
    redirection = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}[closed]
    words = (sys.executable, "-P", "-m", "mailctl", "-f", str(tmp_path / "old.yml"), "apply", "-y", "--root")
    script = f'exec "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words, str(tmp_path / "machine")],
        env=PYTHON_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    machine = Machine(tmp_path / "machine")
    machine.assert_tidy()
    assert (tmp_path / "machine/etc/postfix/main.cf").exists()
    assert (tmp_path / "machine/var/lib/mailctl/current").read_text() == "1\n"
