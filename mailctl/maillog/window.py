"""The part of a log between two moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import groupby

from mailctl.maillog.stamps import parse_stamp

# Stamps that share an hour by their text may name different offsets, when clocks change.
_MARGIN = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` on, and before `until`; both aware. `zone` is that of stamps without one: None is the machine's."""

    since: datetime | None = None
    until: datetime | None = None
    zone: tzinfo | None = None

    def split(self, lines: bytes, year: int) -> Iterator[tuple[bool, bytes]]:
        """Lines whose stamps share an hour, in pieces that are inside or not; `year` is of stamps without one."""
        first = self._moment(lines[:40], year)
        if first is None:
            yield True, lines  # a line without stamp cannot be told to lie outside
        elif self._holds(first - _MARGIN) == self._holds(first + _MARGIN) and not self._has_edge_near(first):
            yield self._holds(first), lines
        else:
            inside = True
            for inside, group in groupby(lines.split(b"\n")[:-1], key=lambda line: self._is_inside(line, year)):
                yield inside, b"\n".join(group) + b"\n"

    def _has_edge_near(self, moment: datetime) -> bool:
        return any(edge is not None and abs(edge - moment) <= _MARGIN for edge in (self.since, self.until))

    def _is_inside(self, line: bytes, year: int) -> bool:
        moment = self._moment(line[:40], year)
        return moment is None or self._holds(moment)

    def _holds(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)

    def _moment(self, line: bytes, year: int) -> datetime | None:
        stamp = parse_stamp(line, year, self.zone)
        return stamp.astimezone() if stamp is not None and stamp.tzinfo is None else stamp
