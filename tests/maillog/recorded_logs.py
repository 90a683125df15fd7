"""The recorded logs as one log each, as tests need them."""

from __future__ import annotations

from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
RUNS = ("short-ids-rfc3339", "long-ids-bsd")


def recorded_lines(run: str) -> list[bytes]:
    """All scenarios of a run, in the order in which they were recorded."""
    logs = [log.read_bytes() for log in (RECORDED / run).glob("*/mail.log")]
    return [line + b"\n" for log in sorted(logs, key=_stamp) for line in log.split(b"\n")[:-1]]


def _stamp(log: bytes) -> bytes:
    return log[:26]
