"""A sealed sandbox on a machine whose /var has a disk of its own in it: sealed_sandbox.py FOLDER DISK SCRATCH NAME.

Runs in a mount namespace of its own. DISK comes to lie on FOLDER, below /var; prints what the server inside sees and
may write, as JSON; NAME is that of the files it tries to make.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mailctl.host import LocalHost
from mailctl.sandbox import Sandbox, Settings


def main() -> None:
    folder, disk, scratch = map(Path, sys.argv[1:4])
    subprocess.run(["/usr/bin/mount", "--bind", disk, folder], check=True)
    with Sandbox.start(LocalHost(), scratch, Settings("mx1.example.org", sealed=True)) as sandbox:
        found = sandbox.call_in_place(lambda: look(folder, Path(__file__).parent, sys.argv[4]))
    found |= {"outside": (folder / "file").read_text(), "made": (folder / "new").exists()}
    sys.stdout.write(json.dumps(found))


def look(folder: Path, elsewhere: Path, name: str) -> dict[str, object]:
    """What there is from within."""
    seen = (folder / "file").read_text()
    (folder / "file").write_text("changed")
    (folder / "new").write_text("made")
    return {
        "seen": seen,
        "changed": (folder / "file").read_text(),
        "hostname": LocalHost().run(["hostname"]).stdout.decode().strip(),
        "elsewhere": can_write(elsewhere / name),
        "etc": can_write(Path("/etc", name)),
        "tmp": can_write(Path("/tmp", name)),
        "sysfs": can_write(Path("/sys/kernel/mm/ksm/run")),
    }


def can_write(path: Path) -> bool:
    try:
        path.write_text("0")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
