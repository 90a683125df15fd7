"""The unit that recovers at boot."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from mailctl.apply.boot import UNIT, render_unit
from mailctl.target import DEBIAN_12


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_bytes(render_unit(DEBIAN_12))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
