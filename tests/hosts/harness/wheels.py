"""mailctl and everything it needs as wheels, for hosts that reach no package index."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from tests.hosts.harness.cache import cached
from tests.hosts.harness.commands import HarnessError, run

CHECKOUT = Path(__file__).parents[3]
EXTRAS = "log"
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
    shutil.copytree(needed_wheels(), folder)
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT, timeout=BUILD_TIMEOUT)
    return folder


def needed_wheels() -> Path:
    """What mailctl needs, without mailctl: cached, in a folder named by its contents."""
    lock_file, project = CHECKOUT / "requirements.lock", CHECKOUT / "pyproject.toml"
    key = hashlib.sha256(lock_file.read_bytes() + project.read_bytes()).hexdigest()[:12]
    return cached("wheels", key, _collect_wheels)


def _collect_wheels(folder: Path) -> None:
    constraints = ("--constraint", CHECKOUT / "requirements.lock")
    run(*PIP, "wheel", *constraints, "--wheel-dir", folder, f"{CHECKOUT}[{EXTRAS}]", timeout=BUILD_TIMEOUT)
    for own in folder.glob("mailctl-*.whl"):
        own.unlink()  # every run brings its own
