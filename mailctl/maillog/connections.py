"""How long clients stay connected to smtpd(8): what `pflogsumm --smtpd-stats` tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailctl.maillog.stamps import LEAP_YEAR, parse_stamp

MOST_CLIENTS = 50_000

_SESSION = re.compile(
    rb"^(\S{19,35}|[^\n]{15}) (\S+) [\w./-]*/smtpd\[(\d+)\]: (?:(connect)|disconnect) from (\S+)", re.MULTILINE
)
_CLIENT = re.compile(r"(?P<name>[^\[]*)\[(?P<address>[^\]]*)\]")


@dataclass(slots=True)
class Stay:
    """Connections that have ended; `longest` of them."""

    connections: int = 0
    time: timedelta = timedelta()
    longest: timedelta = timedelta()

    def add(self, time: timedelta) -> None:
        self.connections += 1
        self.time += time
        self.longest = max(self.longest, time)


@dataclass(slots=True)
class Stays:
    """By the hour of the day (0 to 23) in which they began, and by client: its name, or its address without one."""

    total: Stay = field(default_factory=Stay)
    by_hour: dict[int, Stay] = field(default_factory=dict)
    by_client: dict[str, Stay] = field(default_factory=dict)


def measure_stays(blocks: Iterable[bytes], is_wanted: Callable[[str], bool]) -> Stays:
    """The connections whose end has a stamp that `is_wanted`; blocks are whole lines."""
    begun: dict[tuple[bytes, bytes], datetime] = {}
    stays = Stays()
    for block in blocks:
        for stamp, host, process, connect, client in _SESSION.findall(block):
            moment = parse_stamp(stamp, LEAP_YEAR)  # any year: only the time between two of them matters
            if moment is None:
                continue
            if connect:
                begun[host, process] = moment
            elif (start := begun.pop((host, process), None)) and is_wanted(stamp.decode(errors="replace")):
                _add(stays, start, moment, client.decode(errors="backslashreplace"))
    return stays


def _add(stays: Stays, start: datetime, end: datetime, client: str) -> None:
    if (start.tzinfo is None) != (end.tzinfo is None):
        return
    time = end - start
    if time < timedelta():
        time = max(time + timedelta(days=366), timedelta())  # over New Year, in a leap year
    if time > timedelta(days=1):
        return  # the end of another connection: lines between are missing
    match = _CLIENT.match(client)
    name = client if match is None else match["name"] if match["name"] != "unknown" else match["address"]
    stays.total.add(time)
    stays.by_hour.setdefault(start.hour, Stay()).add(time)
    if name in stays.by_client or len(stays.by_client) < MOST_CLIENTS:
        stays.by_client.setdefault(name, Stay()).add(time)
