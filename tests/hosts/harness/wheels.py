"""mailctl and everything it needs as wheels, for hosts that reach no package index."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from pathlib import Path

from tests.hosts.harness.commands import HarnessError, run
from tests.hosts.harness.images import cache_folder

CHECKOUT = Path(__file__).parents[3]
EXTRAS = "dns,dkim,lab,log"
HOST_PYTHON = (3, 11)  # Debian 12
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
BUILD_TIMEOUT = 600.0  # seconds


def make_wheelhouse(folder: Path) -> Path:
    """`folder`, filled with the wheel of this checkout and the wheels it needs; those are cached.

    Raises:
        HarnessError: pip failed.
    """
    if sys.version_info[:2] != HOST_PYTHON:
        raise HarnessError(f"wheels for the hosts need Python {'.'.join(map(str, HOST_PYTHON))}, this is {sys.version}")
    shutil.copytree(_needed_wheels(), folder)
    run(*PIP, "wheel", "--no-deps", "--wheel-dir", folder, CHECKOUT, timeout=BUILD_TIMEOUT)
    return folder


def _needed_wheels() -> Path:
    lock_file, project = CHECKOUT / "requirements.lock", CHECKOUT / "pyproject.toml"
    key = hashlib.sha256(lock_file.read_bytes() + project.read_bytes()).hexdigest()[:12]
    wheels = cache_folder() / f"wheels-{key}"
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "wheels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wheels.exists():
            work = wheels.with_suffix(".making")
            shutil.rmtree(work, ignore_errors=True)
            source = f"{CHECKOUT}[{EXTRAS}]"
            run(*PIP, "wheel", "--constraint", lock_file, "--wheel-dir", work, source, timeout=BUILD_TIMEOUT)
            for own in work.glob("mailctl-*.whl"):
                own.unlink()  # every run brings its own
            work.rename(wheels)
    return wheels
