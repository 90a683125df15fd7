"""Running programs of the controller, the machine the tests run on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# The kernel ends the program with the test run, however that ends; prctl(2).
DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class HarnessError(Exception):
    """The test hosts could not be made; nothing is known about mailctl."""


def run(*argv: str | Path, timeout: float = 60, environment: Mapping[str, str] | None = None) -> str:
    """What a program printed.

    Raises:
        HarnessError: it failed, or took longer than `timeout` seconds; with all it said.
    """
    command = [*DIE_WITH_US, *map(str, argv)]
    env = None if environment is None else {**os.environ, **environment}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, env=env
        )
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"{argv[0]}: not done after {timeout} s") from error
    if done.returncode != 0:
        raise HarnessError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
