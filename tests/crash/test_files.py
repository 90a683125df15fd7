"""mailctl killed, or failed by the disk, at a system call: all old or all new, and the next run converges.

`make crash` tries every call; otherwise a spread of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.apply.journal import read_unfinished
from mailctl.errors import ExitCode
from mailctl.target import DEBIAN_12
from tests.crash.files import Machine, Scene, make_scenes
from tests.crash.sweep import Moment, contents, copy, list_moments, run_with, spread, spread_over_kinds, trace

KILLS_PER_SCENE = 15
FAILURES_PER_SCENE = 3
KILLED = -9


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> dict[str, Scene]:
    require_tools("strace")
    return make_scenes(tmp_path_factory.mktemp("scenes"))


class Sweep:
    """A scene whose verb can be run again and again, each time meeting its fault elsewhere."""

    def __init__(self, scene: Scene, scratch: Path) -> None:
        self.scene = scene
        self.machine = Machine(scratch / "machine")
        self.arguments = (*scene.arguments, "--root", str(self.machine.folder))
        self.old = Machine(scene.folder).etc()
        self.reset()
        text = trace(self.arguments, scratch / "trace")
        self.new = self.machine.etc()
        self.moments = list_moments(text, str(self.machine.folder))

    def reset(self) -> None:
        copy(self.scene.folder, self.machine.folder)

    def assert_whole_and_converging(self, moment: Moment) -> None:
        self.machine.recover()
        found = self.machine.etc()
        assert found in (self.old, self.new), f"a mix after {moment}"
        self.machine.assert_tidy()
        self.scene.again(self.machine)
        assert self.machine.etc() == self.new, f"does not converge after {moment}"
        self.machine.assert_tidy()


@pytest.fixture(params=["first", "change", "rollback", "prune"])
def sweep(request: pytest.FixtureRequest, scenes: dict[str, Scene], tmp_path: Path) -> Sweep:
    return Sweep(scenes[request.param], tmp_path)


@pytest.mark.slow
def test_killed_at_a_call_it_leaves_all_old_or_all_new(sweep: Sweep) -> None:
    assert len(sweep.moments) > 50
    outcomes = set()
    for moment in spread_over_kinds(sweep.moments, KILLS_PER_SCENE):
        sweep.reset()
        assert run_with("signal=KILL", moment, sweep.arguments) == KILLED, f"not killed at {moment}"
        sweep.assert_whole_and_converging(moment)
        outcomes.add(moment.name)
    assert {"rename", "fsync"} <= outcomes, "the spread misses the calls that matter"


@pytest.mark.slow
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
def test_failed_by_the_disk_at_a_call_it_says_so_and_nothing_changed(sweep: Sweep, error: str) -> None:
    moments = [each for each in sweep.moments if each.name not in ("execve", "kill")]
    # What comes after the journal's end is no failure any more.
    end = [each for each in moments if each.name == "fsync" and each.line.endswith("/journal>) = 0")][-1]
    for moment in [*spread(moments[len(error) % 3 :], FAILURES_PER_SCENE), end]:
        sweep.reset()
        status = run_with(f"error={error}", moment, sweep.arguments)
        unfinished = read_unfinished(sweep.machine.host, DEBIAN_12)
        assert status in (ExitCode.OK, ExitCode.FAILED), f"exit {status} after {moment}"
        if status == ExitCode.OK:
            assert sweep.machine.etc() == sweep.new, f"exit 0 but not done after {moment}"
        elif unfinished is None:
            assert sweep.machine.etc() == sweep.old, f"something changed after {moment}"
        else:
            assert unfinished.is_verified, f"left undone by {moment}"
        sweep.assert_whole_and_converging(moment)


def test_a_copy_of_a_machine_is_that_machine(scenes: dict[str, Scene], tmp_path: Path) -> None:
    for scene, number in zip(scenes.values(), itertools.count()):
        assert contents(copy(scene.folder, tmp_path / str(number))) == contents(scene.folder)
