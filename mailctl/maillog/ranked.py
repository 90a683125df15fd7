"""A list of many names, put in order only as far as somebody looks: a screen shows ten of fifty thousand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from heapq import nlargest
from itertools import starmap
from operator import itemgetter
from typing import overload

from mailctl.maillog.report import Row
from mailctl.maillog.tally import MESSAGE, Sizes, parts

NO_NAME = "<>"
"""Stands for the null sender, and for an address without a domain."""


class Ranked(Sequence[Row]):
    """The rows of `sizes` as of now, by messages, then by name."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = {name: total for name, total in sizes.items() if total >= MESSAGE // 2}

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._all)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice) and not place.start and place.step is None and place.stop is not None:
            return self._first(place.stop)
        return self._all[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _all(self) -> tuple[Row, ...]:
        return _rows(self._sizes.items())

    def _first(self, number: int) -> tuple[Row, ...]:
        if not 0 < number < len(self):
            return self._all[:number]
        # Names with as many messages as the last one shown are in the order of their names, so all of them are needed.
        fewest, _ = parts(nlargest(number, self._sizes.values())[-1])
        edge = fewest * MESSAGE - MESSAGE // 2
        return _rows([item for item in self._sizes.items() if item[1] >= edge])[:number]


def text_of(name: bytes) -> str:
    """As UTF-8; a byte that is none shows as `\\xff`."""
    return name.decode(errors="backslashreplace") or NO_NAME


def ordered(rows: Iterable[tuple[str, int, int]]) -> tuple[Row, ...]:
    """Name, messages, bytes: by messages, then by name."""
    found = [row for row in rows if row[1] > 0]
    found.sort(key=itemgetter(0))
    found.sort(key=itemgetter(1), reverse=True)
    return tuple(starmap(Row, found))


def _rows(sizes: Iterable[tuple[bytes, int]]) -> tuple[Row, ...]:
    return ordered((text_of(name), *parts(total)) for name, total in sizes)
