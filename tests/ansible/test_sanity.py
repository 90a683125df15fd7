"""Ansible's own checks of a collection, all that run without containers: `ansible-test sanity`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.hosts.harness.cache import cached

PROGRAM = Path(sys.executable).with_name("ansible-test")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# Where it looks for a script that installs pip, before it downloads one.
PIP_INSTALLER = ".ansible/test/cache/get_pip_24_2.py"
TIMEOUT = 900.0  # seconds; five, and half a minute where its environments are made first

Sanity = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def sanity(installed: Path) -> Sanity:
    """Run `ansible-test sanity` on the collection of the wheel."""
    collection = installed / "ansible_collections/mailctl/mail"

    def run(*options: str, home: Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"HOME": str(home), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
        command = [PROGRAM, "sanity", "--color", "no", "--python", PYTHON, *options]
        return subprocess.run(command, cwd=collection, env=environment, capture_output=True, text=True, timeout=TIMEOUT)

    return run


@pytest.fixture(scope="module")
def home(sanity: Sanity) -> Path:
    """A home folder with the virtual environments it wants, one for each check."""

    def make(folder: Path) -> None:
        installer = folder / PIP_INSTALLER
        installer.parent.mkdir(parents=True)
        installer.write_text("import ensurepip\n\nensurepip.bootstrap()\n")
        done = sanity("--prime-venvs", home=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    return cached("sanity", f"{version('ansible-core')}-{PYTHON}", make)


def test_the_collection_passes(sanity: Sanity, home: Path) -> None:
    done = sanity(home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Running sanity test "validate-modules"' in done.stdout + done.stderr


def test_it_would_find_what_is_wrong(sanity: Sanity, home: Path, installed: Path) -> None:
    module = installed / "ansible_collections/mailctl/mail/plugins/modules/mailctl.py"
    kept = module.with_suffix(".kept")
    shutil.move(module, kept)
    try:
        module.write_text(kept.read_text().replace("  allow_destroy:\n", "  allow_everything:\n"))
        done = sanity("--test", "validate-modules", home=home)
    finally:
        shutil.move(kept, module)
    assert done.returncode != 0
    assert "allow_destroy" in done.stdout + done.stderr
