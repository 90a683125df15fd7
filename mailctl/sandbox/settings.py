"""What a sandbox is made of, as its processes read it from its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

SETTINGS = "settings.json"
STATE = "state.json"
ZONE = "zone.json"
FAULTS = "faults.json"
MESSAGES = "messages"
SUPERVISOR_LOG = "supervisor.log"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server is to look from inside.

    `visible` are paths that must be seen inside wherever they lie (read-only where an overlay hides them);
    `empty` are directories of the host whose content the server must not see; `users` are system users it
    must have, made where missing. In a `sealed` one nothing of the host can be written by any path.
    """

    hostname: str
    visible: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    sealed: bool = False

    def store(self, folder: Path) -> None:
        write_json(folder / SETTINGS, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        found = read_json(folder / SETTINGS)
        visible, empty, users = (tuple(found[key]) for key in ("visible", "empty", "users"))
        return cls(found["hostname"], visible, empty, users, found["sealed"])


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace `path` at once: the other processes of the sandbox read it at any time."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1))
    aside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty where no file is."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found
