"""The same lines make the same report, however they come: in pieces, packed, rotated, mixed, over several runs."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_logs import RUNS, recorded_lines

from mailctl.maillog import pieces, summarise, summarise_new
from mailctl.maillog.absorb import absorb
from mailctl.maillog.count import Counting
from mailctl.maillog.report import Report, Totals
from mailctl.maillog.summarise import _newest
from mailctl.maillog.summary import make_report

LINES = {run: recorded_lines(run) for run in RUNS}
some_runs = st.sampled_from(RUNS)
few_examples = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def whole(run: str) -> Report:
    return summarise(LINES[run])


def cut(lines: list[bytes], places: list[float]) -> list[list[bytes]]:
    edges = [0, *sorted(int(place * len(lines)) for place in places), len(lines)]
    return [lines[one:two] for one, two in itertools.pairwise(edges)]


shares = st.floats(0, 1, allow_nan=False)


@few_examples
@given(some_runs, st.lists(shares, max_size=12))
def test_pieces_counted_apart_add_up_to_the_whole(run: str, places: list[float]) -> None:
    counting = Counting()
    for piece in cut(LINES[run], places):
        later = Counting(first=False)
        later.feed(b"".join(piece))
        absorb(counting, later)
    assert make_report(counting, _newest(None)) == whole(run)


@few_examples
@given(some_runs, st.lists(shares, max_size=6))
def test_blocks_may_end_after_any_line(run: str, places: list[float]) -> None:
    counting = Counting()
    for piece in cut(LINES[run], places):
        counting.feed(b"".join(piece))
    assert make_report(counting, _newest(None)) == whole(run)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstandard.compress])
def test_a_packed_log_counts_the_same(pack: Callable[[bytes], bytes], lines: list[bytes], tmp_path: Path) -> None:
    plain, packed = tmp_path / "mail.log", tmp_path / "packed"
    plain.write_bytes(b"".join(lines))
    packed.write_bytes(pack(b"".join(lines)))
    assert summarise(packed) == summarise(plain)


def test_several_processes_count_the_same(lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 3000)
    monkeypatch.setattr(pieces, "SMALLEST_PIECE", 1)
    log = tmp_path / "mail.log"
    log.write_bytes(b"".join(lines))
    assert summarise(log, jobs=3) == summarise(log, jobs=1) == summarise(lines)


def test_a_stream_counts_the_same(lines: list[bytes]) -> None:
    assert summarise(BytesIO(b"".join(lines))) == summarise(lines) == summarise([line.decode() for line in lines])


def test_rotated_files_count_the_same_in_any_order(lines: list[bytes], tmp_path: Path) -> None:
    half = len(lines) // 2
    old, new = tmp_path / "mail.log.1.gz", tmp_path / "mail.log"
    old.write_bytes(gzip.compress(b"".join(lines[:half])))
    new.write_bytes(b"".join(lines[half:]))
    assert summarise([new, old]) == summarise([old, new]) == summarise(lines)


@few_examples
@given(some_runs, st.randoms(use_true_random=False))
def test_hosts_may_be_mixed(run: str, order: Random) -> None:
    """Two hosts write the same queue ids; together they count twice one of them."""
    mine = LINES[run]
    other = [line.replace(b" mx1 ", b" mx2 ", 1) for line in mine]
    sides = [iter(mine)] * len(mine) + [iter(other)] * len(other)
    order.shuffle(sides)
    assert totals(summarise([next(side) for side in sides])) == {
        name: 2 * count for name, count in totals(whole(run)).items()
    }


def totals(report: Report) -> dict[str, int]:
    return {name: getattr(report.totals, name) for name in Totals.__dataclass_fields__}


WRITE, RENAME, COPY_TRUNCATE, PACK, COUNT = range(5)
steps = st.lists(st.tuples(st.sampled_from((WRITE, RENAME, COPY_TRUNCATE, PACK, COUNT)), shares), max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(some_runs, steps)
def test_each_line_counts_once_whatever_happens_to_the_file(
    tmp_path_factory: pytest.TempPathFactory, run: str, script: list[tuple[int, float]]
) -> None:
    """Written in any pieces, also of lines; rotated by rename or by copying, packed; counted now and then."""
    folder = tmp_path_factory.mktemp("log")
    log, state = folder / "mail.log", folder / "state"
    log.touch()
    data = b"".join(LINES[run])
    sums: dict[str, int] = {}
    written = rotations = 0
    # The first time counts what is in the log then; whatever was rotated away before is not part of it.
    for step, share in [(WRITE, 0.1), (COUNT, 0), *script, (WRITE, 1.0), (COUNT, 0)]:
        if step == WRITE:
            size = int(share * (len(data) - written)) if share < 1 else len(data) - written
            with log.open("ab") as file:
                file.write(data[written : written + size])
            written += size
        elif step == COUNT:
            _, sums = summarise_new([log], state, add_totals)
        elif data[:written].endswith(b"\n") and log.stat().st_size:
            rotations += 1
            rotate(log, log.with_name(f"mail.log.{rotations}"), step)
    assert sums == totals(whole(run))


def rotate(log: Path, old: Path, how: int) -> None:
    content = log.read_bytes()
    if how == RENAME:
        log.rename(old)
        log.touch()
    elif how == COPY_TRUNCATE:
        old.write_bytes(content)
        log.write_bytes(b"")
    else:
        old.with_suffix(old.suffix + ".gz").write_bytes(gzip.compress(content))
        log.unlink()
        log.touch()


def add_totals(sums: object, report: Report) -> dict[str, int]:
    assert isinstance(sums, dict)
    return {name: sums.get(name, 0) + count for name, count in totals(report).items()}
