"""After exit 0 power loss keeps what the services' own programs wrote too: the lookup tables that postmap built."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from lab_kit import Lab, password_hash, write_example

from tests.crash.order import Disk
from tests.crash.sweep import CHANGING, ENVIRONMENT

pytestmark = [pytest.mark.real, pytest.mark.slow]

PLACE = "    aliases:\n      info"
WRITING = (*CHANGING, "pwrite64", "writev", "fdatasync")


def test_every_table_is_on_disk_before_it_serves(
    start_lab: Callable[[Path], Lab], tmp_path: Path, require_tools: Callable[..., None]
) -> None:
    require_tools("strace")
    lab = start_lab(write_example(tmp_path))
    (tmp_path / "secrets/carol").write_text(password_hash("pw-carol"))
    text = lab.spec_file.read_text()
    assert PLACE in text
    lab.spec_file.write_text(text.replace(PLACE, f"      carol: {{password: {{file: secrets/carol}}}}\n{PLACE}"))
    known = lab.run("find", "/etc", "/var/lib/mailctl").splitlines()
    calls, output = ",".join(f"?{name}" for name in WRITING), tmp_path / "trace"
    strace = ("strace", "-f", "-y", "-s", "80", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(output))
    environment = (f"{name}={value}" for name, value in ENVIRONMENT.items())
    mailctl = (sys.executable, "-P", "-m", "mailctl", "-f", str(lab.spec_file), "apply", "-y", "--no-canary")
    lab.run("env", *environment, *strace, *mailctl)
    disk = Disk(PurePosixPath("/"), {PurePosixPath(path) for path in known})
    disk.play(output.read_text())
    assert disk.renames > 10  # of tables alone there are some
    assert "/usr/sbin/postmap" in output.read_text()
    assert not disk.faults, "\n".join(disk.faults)
    assert disk.lost_below(PurePosixPath("/etc")) == []
    assert disk.lost_below(PurePosixPath("/var/lib/mailctl")) == []
