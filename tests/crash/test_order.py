"""After exit 0 power loss keeps what was applied: fsync comes before each rename, and after it for the directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from mailctl.spec.load import load_spec
from tests.crash.files import Machine, Scene, make_scenes
from tests.crash.order import Disk
from tests.crash.sweep import copy, trace


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> dict[str, Scene]:
    require_tools("strace")
    folder = tmp_path_factory.mktemp("scenes")
    scenes = make_scenes(folder)
    confirmed, expired = (copy(scenes["change"].folder, folder / name) for name in ("confirmed", "expired"))
    Machine(confirmed).apply_waiting(load_spec(folder / "new.yml"), 3600)
    Machine(expired).apply_waiting(load_spec(folder / "new.yml"), 0)
    return scenes | {
        "confirm": Scene(confirmed, ("confirm",), Machine.recover),
        "give up": Scene(confirmed, ("rollback", "-y"), Machine.recover),
        "recover": Scene(expired, ("recover",), Machine.recover),
    }


@pytest.mark.parametrize("name", ["first", "change", "rollback", "prune", "confirm", "give up", "recover"])
def test_nothing_is_renamed_or_left_that_is_not_on_disk(name: str, scenes: dict[str, Scene], tmp_path: Path) -> None:
    machine = copy(scenes[name].folder, tmp_path / "machine")
    disk = Disk(PurePosixPath(machine), {PurePosixPath(path) for path in machine.rglob("*")})
    disk.play(trace((*scenes[name].arguments, "--root", str(machine)), tmp_path / "trace"))
    assert disk.renames > 2
    assert not disk.faults, "\n".join(disk.faults)
    assert disk.lost_below(disk.root / "etc") == []
    assert disk.lost_below(disk.root / "var/lib/mailctl") == []


FSYNC, RENAME = "fsync(3</m/var/a>) = 0", 'rename("/m/var/a", "/m/etc/a") = 0'
CREATE = 'openat(AT_FDCWD, "/m/var/a", O_WRONLY|O_CREAT, 0600) = 3</m/var/a>\nwrite(3</m/var/a>, "x", 1) = 1'
FOLDERS = "fsync(3</m/etc>) = 0\nfsync(3</m/var>) = 0"
BUILD = (
    '7  openat(AT_FDCWD, "/m/.new-1/a.tmp", O_RDWR|O_CREAT, 0600 <unfinished ...>\n8  write(1</m/b>, "x", 1) = 1\n'
    '7  <... openat resumed>) = 3</m/.new-1/a.tmp>\n7  write(3</m/.new-1/a.tmp>, "x", 1) = 1\n8  fsync(1</m/b>) = 0\n'
    '7  rename("/m/.new-1/a.tmp", "/m/.new-1/a") = 0'
)
SYNC_BUILT = "fsync(3</m/.new-1/a>) = 0\nfsync(3</m/.new-1>) = 0"
NAME_BUILT = 'rename("/m/.new-1", "/m/1") = 0\nfsync(3</m>) = 0'


@pytest.mark.parametrize(
    ("calls", "is_safe"),
    [
        ((CREATE, FSYNC, RENAME, FOLDERS), True),
        ((CREATE, RENAME, FOLDERS), False),
        ((CREATE, FSYNC, RENAME), False),
        ((FSYNC, CREATE, RENAME, FOLDERS), False),
        ((BUILD, SYNC_BUILT, NAME_BUILT), True),
        ((BUILD, NAME_BUILT), False),
    ],
)
def test_the_checker_sees_a_missing_fsync(calls: tuple[str, ...], is_safe: bool) -> None:
    disk = Disk(PurePosixPath("/m"))
    disk.play("\n".join(calls))
    assert (not disk.faults and not disk.lost_below(PurePosixPath("/m"))) is is_safe
