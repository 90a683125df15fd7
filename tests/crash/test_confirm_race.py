"""A confirmation that arrives around the deadline: it or the guard decides, the other finds nothing to do."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import pytest

from mailctl.errors import MailctlError
from mailctl.plan.stored import read_current
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12
from tests.crash.files import Machine, make_scenes
from tests.crash.sweep import copy

WITHIN = 0.5  # seconds
# Seconds from the deadline. The first is early on any machine; undoing takes some hundredths of a second.
OFFSETS = (-5, -0.1, -0.03, -0.01, -0.003, -0.001, 0, 0.001, 0.003, 0.01, 0.03, 0.1)


@pytest.fixture(scope="module")
def guard() -> Iterator[Executor]:
    """A process that waits for one deadline after the other."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(time.time).result()
        yield pool


def test_of_confirmation_and_deadline_exactly_one_wins(guard: Executor, tmp_path: Path) -> None:
    scenes = make_scenes(tmp_path)
    old, new = Machine(scenes["change"].folder).etc(), Machine(scenes["rollback"].folder).etc()
    spec, kept = load_spec(tmp_path / "new.yml"), set()
    for offset in OFFSETS:
        machine = Machine(copy(scenes["change"].folder, tmp_path / "machine"))
        deadline = machine.apply_waiting(spec, max(WITHIN, -offset))
        watching = guard.submit(machine.watch, deadline)
        time.sleep(max(deadline + offset - time.time(), 0))
        began = time.time()
        is_confirmed = confirm(machine)
        ended = time.time()
        watching.result()
        assert machine.etc() == (new if is_confirmed else old), offset
        assert read_current(machine.host, DEBIAN_12) == (2 if is_confirmed else 1), offset
        machine.assert_tidy()
        assert is_confirmed or ended >= deadline, "it was early enough"
        assert not is_confirmed or began < deadline, "it was too late"
        kept.add(is_confirmed)
    assert kept == {False, True}


def confirm(machine: Machine) -> bool:
    try:
        return machine.confirm() == 2
    except MailctlError:
        return False
