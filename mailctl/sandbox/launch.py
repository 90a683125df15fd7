"""How the processes of a sandbox are started: this very mailctl again, bound to who starts it."""

from __future__ import annotations

import sys
from pathlib import Path

import mailctl
from mailctl.host import CLEAN_ENVIRONMENT

PACKAGE_PARENT = Path(mailctl.__file__).resolve().parent.parent
PYTHON_ENVIRONMENT = CLEAN_ENVIRONMENT | {"PYTHONPATH": str(PACKAGE_PARENT)}
# What must be visible where it runs: the package, the virtual environment, and the interpreter that one points to.
PYTHON_PATHS = tuple(dict.fromkeys((str(PACKAGE_PARENT), sys.prefix, sys.base_prefix)))


# The kernel kills the program when the thread that started it ends, however it ends; prctl(2).
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
START_TIMEOUT = 20.0  # seconds; a sandbox takes less than one, on a busy host more


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line of a module; -P keeps the current folder, which may be anybody's, out of sys.path."""
    return [sys.executable, "-P", "-m", module, *arguments]
