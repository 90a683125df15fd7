"""Whether the kernel's clock is kept right: signatures, certificates, codes and logs all rest on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from mailctl.doctor.model import Finding, Patient, ok, skip, warn

TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
SIZE = 512  # bytes; struct timex has about 200


def look(patient: Patient) -> Iterator[Finding]:
    state = clock_state()
    if state < 0:
        yield skip("clock", "the kernel does not say")
    elif state == TIME_ERROR:
        yield warn(
            "clock", "nothing keeps the clock right", "apt-get install systemd-timesyncd; timedatectl set-ntp true"
        )
    else:
        yield ok("clock", f"{patient.now:%Y-%m-%d %H:%M:%S} UTC, kept right by a time server")


def clock_state() -> int:
    """What adjtimex(2) returns when it is asked for nothing; negative where it may not be asked."""
    library = ctypes.CDLL(None)
    return int(library.adjtimex(ctypes.create_string_buffer(SIZE))) if hasattr(library, "adjtimex") else -1
