"""The only subprocess and the only writes: everything else takes values and returns values."""

from __future__ import annotations

import os

from mailctl.host.files import LocalFiles
from mailctl.host.programs import CLEAN_ENVIRONMENT, SYSTEM_PATH, BackgroundProcess, LocalPrograms
from mailctl.host.protocol import Completed, FileState, Host, create_whole

__all__ = (
    "CLEAN_ENVIRONMENT",
    "SYSTEM_PATH",
    "BackgroundProcess",
    "Completed",
    "FileState",
    "Host",
    "LocalHost",
    "create_whole",
)


class LocalHost(LocalFiles, LocalPrograms):
    """This machine, or with `root` a folder that stands for one: files only, no services."""

    def is_root(self) -> bool:
        return os.geteuid() == 0
