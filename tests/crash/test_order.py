"""After exit 0 power loss keeps what was applied: fsync comes before each rename, and after it for the directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from tests.crash.files import Scene, make_scenes
from tests.crash.order import Disk
from tests.crash.sweep import copy, trace


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> dict[str, Scene]:
    require_tools("strace")
    return make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.mark.parametrize("name", ["first", "change", "rollback", "prune"])
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


@pytest.mark.parametrize(
    ("calls", "is_safe"),
    [
        ((CREATE, FSYNC, RENAME, FOLDERS), True),
        ((CREATE, RENAME, FOLDERS), False),
        ((CREATE, FSYNC, RENAME), False),
        ((FSYNC, CREATE, RENAME, FOLDERS), False),
    ],
)
def test_the_checker_sees_a_missing_fsync(calls: tuple[str, ...], is_safe: bool) -> None:
    disk = Disk(PurePosixPath("/m"))
    disk.play("\n".join(calls))
    assert (not disk.faults and not disk.lost_below(PurePosixPath("/m"))) is is_safe
