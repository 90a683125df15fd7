"""The installed commands, run as a person or cron runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
LOG_REPORT = str(BIN / "log-report")
MAILCTL = str(BIN / "mailctl")


def run(
    *arguments: str | Path, stdin: str | None = "", program: str = LOG_REPORT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command that has ended; `stdin` None is /dev/null, as in cron."""
    return subprocess.run(
        [program, *map(str, arguments)],
        **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=60,
    )
