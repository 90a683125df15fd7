"""The first names of a long list are those of the whole list in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailctl.maillog.ranked import Ranked
from mailctl.maillog.report import Row
from mailctl.maillog.tally import MESSAGE

# Bytes may be below zero: a message that was counted as received turned out to be re-injected, and larger.
totals = st.builds(lambda messages, size: messages * MESSAGE + size, st.integers(-1, 4), st.integers(-500, 500))


@given(st.dictionaries(st.binary(max_size=3), totals, max_size=30), st.integers(0, 35))
def test_the_first_rows_are_those_of_all(sizes: dict[bytes, int], number: int) -> None:
    first, whole = Ranked(sizes)[:number], tuple(Ranked(sizes))
    assert first == whole[:number]
    assert len(Ranked(sizes)) == len(whole)
    assert sorted(whole, key=lambda row: (-row.messages, row.name)) == list(whole)


def test_it_is_the_list_of_the_moment() -> None:
    sizes = {b"a": MESSAGE + 7}
    ranked = Ranked(sizes)
    sizes[b"a"] += MESSAGE
    assert ranked == (Row("a", 1, 7),)
    assert ranked[0] == ranked[-1] == Row("a", 1, 7)
