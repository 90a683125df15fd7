"""A sealed sandbox: whatever lies where on the host, the server sees it and cannot change it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mailctl.sandbox.launch import PYTHON_ENVIRONMENT

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).with_name("sealed_sandbox.py")


def test_nothing_of_the_host_can_be_written_and_a_disk_below_var_is_seen(require_root: None, tmp_path: Path) -> None:
    name = f"written-by-a-sandbox-{os.getpid()}"
    disk, scratch = tmp_path / "disk", tmp_path / "scratch"
    disk.mkdir()
    scratch.mkdir()
    (disk / "file").write_text("on a disk of its own")
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="mailctl-test.") as folder:
        words = ["unshare", "--mount", sys.executable, "-P", str(SCRIPT), folder, str(disk), str(scratch), name]
        done = subprocess.run(words, env=PYTHON_ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seen"] == "on a disk of its own"
    assert found["changed"] == "changed"
    assert found["outside"] == "on a disk of its own"
    assert found["made"] is False
    assert found["hostname"] == "mx1"
    assert (found["etc"], found["tmp"]) == (True, True)
    assert (found["elsewhere"], found["sysfs"]) == (False, False)
    assert not Path("/etc", name).exists()
    assert not Path("/tmp", name).exists()
