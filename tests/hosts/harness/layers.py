"""File systems laid over each other, and programs run in one that is not booted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.harness.commands import run

INSTALL_TIMEOUT = 900.0  # seconds; half a minute, on a busy machine with a slow mirror more


def run_inside(root: Path, *command: str, options: tuple[str, ...] = ()) -> None:
    """Run one program in a system that is not booted, with the network of the controller."""
    environment = ("--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C.UTF-8")
    nspawn = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe")
    run(*nspawn, *environment, *options, f"--directory={root}", *command, timeout=INSTALL_TIMEOUT)


@contextmanager
def overlay(upper: Path, lower: tuple[Path, ...]) -> Iterator[Path]:
    """Where `lower` is mounted with all changes kept in `upper`."""
    root = _beside(upper, "root")
    mount_overlay(root, upper, lower)
    try:
        yield root
    finally:
        run("umount", root)
        root.rmdir()
        shutil.rmtree(_beside(upper, "work"))


def mount_overlay(root: Path, upper: Path, lower: tuple[Path, ...]) -> None:
    """Mount `lower` at `root`, topmost layer first, with a writable `upper`."""
    work = _beside(upper, "work")
    for folder in (root, upper, work):
        folder.mkdir(parents=True, exist_ok=True)
    layers = ":".join(map(str, lower))
    run("mount", "-t", "overlay", "-o", f"lowerdir={layers},upperdir={upper},workdir={work}", "overlay", root)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}.{what}")
