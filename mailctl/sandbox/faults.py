"""Hosts of the outside world that do not take mail, so that failover and deferral can be tried."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from mailctl.sandbox.settings import FAULTS, read_json, write_json


class Fault(StrEnum):
    """How a host of the world behaves to who connects."""

    DOWN = "down"
    DEFER = "defer"
    REFUSE = "refuse"

    @property
    def greeting(self) -> bytes:
        """What it says before it closes the connection; nothing, when it is down."""
        return {
            Fault.DOWN: b"",
            Fault.DEFER: b"421 4.3.2 try again later\r\n",
            Fault.REFUSE: b"554 5.3.2 no mail is taken here\r\n",
        }[self]


def read_fault(folder: Path, host: str) -> Fault | None:
    """How `host` (a name, or an address nobody named) is disturbed; None when it is well."""
    found = read_json(folder / FAULTS).get(host)
    return Fault(found) if found else None


def read_faults(folder: Path) -> dict[str, Fault]:
    """Every disturbed host."""
    return {host: Fault(fault) for host, fault in read_json(folder / FAULTS).items()}


def write_fault(folder: Path, host: str, fault: Fault | None) -> None:
    """Disturb `host` from the next connection on; None makes it well."""
    faults = read_json(folder / FAULTS)
    faults.pop(host, None)
    write_json(folder / FAULTS, faults | ({host: fault.value} if fault else {}))
