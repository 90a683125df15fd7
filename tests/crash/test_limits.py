"""Whatever a spec holds, an apply of it ends, within its memory, and leaves no half-made files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.limits import MOST_MEGABYTES, SPECS, apply_to_folder, name_of
from mailctl.errors import ExitCode
from tests.crash.files import Machine

# Of processor time. The promised ten are for a quiet machine, and `python -m bench.limits` measures them; what takes
# longer than this on a slow and busy one grows faster than the spec does.
HANGS = 60


@pytest.mark.parametrize("make", SPECS, ids=name_of)
def test_whatever_the_spec_holds_it_ends_within_its_memory(make: Callable[[Path], str], tmp_path: Path) -> None:
    spec, out = tmp_path / "mail.yml", tmp_path / "out"
    spec.write_text(make(tmp_path))
    cost = apply_to_folder(spec, tmp_path / "machine", out)
    assert cost.code in (ExitCode.OK, ExitCode.SPEC_INVALID), out.read_text(errors="replace")[-2000:]
    assert cost.seconds < HANGS
    assert cost.memory < MOST_MEGABYTES
    Machine(tmp_path / "machine").assert_tidy()
