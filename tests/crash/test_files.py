"""mailctl killed, interrupted, or failed by the disk at a system call: all old or all new, and the next run converges.

`make crash` tries every call; otherwise a spread of them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from mailctl.apply.journal import read_unfinished
from mailctl.errors import ExitCode, MailctlError
from mailctl.target import DEBIAN_12
from tests.crash.files import Machine, Scene, make_scenes
from tests.crash.sweep import (
    FULL,
    Ended,
    Moment,
    compile_once,
    copy,
    everything,
    list_moments,
    run_with,
    spread,
    spread_of,
    spread_over_kinds,
    trace,
    trace_answered,
)

SCENES = ("first", "change", "rollback", "prune")
# A full sweep is cut into pieces, for workers that share it.
SHARES = range(6 if FULL else 1)
KILLS_PER_SCENE = 15
SIGNALS_PER_SCENE = 6
FAILURES_PER_SCENE = 3
SIGNALS = ("INT", "HUP", "TERM")
KILLED = -9
INTERRUPTED = "mailctl: interrupted"

Judge = Callable[["Sweep", Moment, Ended], None]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("share", SHARES), pytest.mark.parametrize("name", SCENES)]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> dict[str, Scene]:
    require_tools("strace")
    compile_once()
    return make_scenes(tmp_path_factory.mktemp("scenes"))


class Sweep:
    """A scene whose verb can be run again and again, each time meeting its fault elsewhere.

    `moments` are the calls that change something, once it was told to go on; `calls` are those and all that open a
    file to read it, from the start.
    """

    def __init__(self, scene: Scene, scratch: Path) -> None:
        self.scene = scene
        self.machine = Machine(scratch / "machine")
        self.arguments = (*scene.arguments, "--root", str(self.machine.folder))
        self.old = Machine(scene.folder).etc()
        self.reset()
        self.moments = list_moments(trace_answered(self.arguments, scratch / "trace"), str(self.machine.folder))
        self.new = self.machine.etc()
        self.reset()
        text = trace(self.arguments, scratch / "trace")
        calls = list_moments(text, str(self.machine.folder), reading=True)
        # Before its command line is loaded, a program has no say in what a signal does.
        self.calls = list(itertools.dropwhile(lambda each: "/mailctl/cli/" not in each.line, calls))
        self.converging: set[frozenset[tuple[str, bytes, int]]] = set()

    def reset(self) -> None:
        copy(self.scene.folder, self.machine.folder)

    def failures(self, faults: Iterable[tuple[str, Moment]], judge: Judge, *, from_start: bool = False) -> list[str]:
        """What is wrong after each of `faults`, one at a time."""
        found = ((fault, moment, self.meet(fault, moment, judge, from_start)) for fault, moment in faults)
        return [f"{fault} at {moment}: {wrong}" for fault, moment, wrong in found if wrong]

    def meet(self, fault: str, moment: Moment, judge: Judge, from_start: bool) -> str:
        self.reset()
        try:
            judge(self, moment, run_with(fault, moment, self.arguments, from_start=from_start))
            self.assert_whole_and_converging()
        except (AssertionError, MailctlError, OSError) as error:
            return str(error) or repr(error)
        return ""

    def assert_whole_and_converging(self) -> None:
        self.machine.recover()
        assert self.machine.etc() in (self.old, self.new), "a mix"
        self.machine.assert_tidy()
        # Most faults leave the very same files: what comes of those is tried once.
        left = everything(self.machine.folder)
        if left not in self.converging:
            self.scene.again(self.machine)
            assert self.machine.etc() == self.new, "does not converge"
            self.machine.assert_tidy()
            self.converging.add(left)


@pytest.fixture(scope="module")
def make_sweep(scenes: dict[str, Scene], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sweep]:
    return functools.cache(lambda name: Sweep(scenes[name], tmp_path_factory.mktemp(name)))


@pytest.fixture
def sweep(name: str, share: int, make_sweep: Callable[[str], Sweep]) -> Sweep:
    return make_sweep(name)


def shared(moments: Sequence[Moment], share: int) -> Sequence[Moment]:
    return moments[share :: len(SHARES)]


def assert_none(failures: Sequence[str]) -> None:
    assert not failures, "\n".join(failures)


def is_honest_after_an_error(sweep: Sweep, moment: Moment, ended: Ended) -> None:
    unfinished = read_unfinished(sweep.machine.host, DEBIAN_12)
    assert ended.status in (ExitCode.OK, ExitCode.FAILED), f"exit {ended.status}: {ended.stderr}"
    if ended.status == ExitCode.OK:
        assert sweep.machine.etc() == sweep.new, "exit 0, but not done"
    elif unfinished is None:
        assert sweep.machine.etc() == sweep.old, "something changed"
    else:
        assert unfinished.is_verified, "left undone"


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
def test_failed_by_the_disk_at_a_call_it_says_so_and_nothing_changed(
    sweep: Sweep, share: int, error: str, record_property: Callable[[str, object], None]
) -> None:
    moments = [each for each in sweep.moments if each.name not in ("execve", "kill")]
    # What comes after the journal's end is no failure any more.
    end = [each for each in moments if each.name == "fsync" and each.line.endswith("/journal>) = 0")][-1]
    chosen = shared(moments if FULL else [*spread(moments[len(error) % 3 :], FAILURES_PER_SCENE), end], share)
    record_property("points", len(chosen))
    assert_none(sweep.failures([(f"error={error}", each) for each in chosen], is_honest_after_an_error))


def is_killed(sweep: Sweep, moment: Moment, ended: Ended) -> None:
    assert ended.status == KILLED, f"not killed, but exit {ended.status}"


def test_killed_at_a_call_it_leaves_all_old_or_all_new(
    sweep: Sweep, share: int, record_property: Callable[[str, object], None]
) -> None:
    assert len(sweep.moments) > 50
    wanted = spread_over_kinds(sweep.moments, KILLS_PER_SCENE)
    assert {"rename", "fsync"} <= {each.name for each in wanted}, "the spread misses the calls that matter"
    chosen = shared(wanted, share)
    record_property("points", len(chosen))
    assert_none(sweep.failures([("signal=KILL", each) for each in chosen], is_killed))


def is_honest_after_a_signal(sweep: Sweep, moment: Moment, ended: Ended) -> None:
    """Undone and said so in one line, or done."""
    assert read_unfinished(sweep.machine.host, DEBIAN_12) is None
    if ended.status == ExitCode.OK:
        assert sweep.machine.etc() == sweep.new, "exit 0, but not done"
        assert INTERRUPTED not in ended.stderr
    else:
        assert ended.status == ExitCode.INTERRUPTED, f"exit {ended.status}: {ended.stderr}"
        assert ended.stderr.splitlines().count(INTERRUPTED) == 1, ended.stderr
        assert ended.stderr.splitlines()[-1] == INTERRUPTED, ended.stderr
        assert sweep.machine.etc() == sweep.old, "something changed"


def test_a_signal_at_a_call_undoes_all_of_it_or_comes_too_late(
    sweep: Sweep, share: int, record_property: Callable[[str, object], None]
) -> None:
    signals = itertools.cycle(SIGNALS)
    early = [(f"signal={next(signals)}", each) for each in shared(spread_of(sweep.calls, SIGNALS_PER_SCENE), share)]
    later = [(f"signal={next(signals)}", each) for each in shared(spread(sweep.moments, SIGNALS_PER_SCENE), share)]
    record_property("points", len(early) + len(later))
    found = sweep.failures(early, is_honest_after_a_signal, from_start=True)
    assert_none(found + sweep.failures(later, is_honest_after_a_signal))
