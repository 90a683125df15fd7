"""Where lines come from, and when they were: periods, years, the journal, logs that cannot be read."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailctl.maillog import LogError, follow, parse_line, pieces, summarise, summarise_new
from mailctl.maillog.events import Connected
from mailctl.maillog.formats import Format, Style, render
from mailctl.maillog.stamps import latest_stamp

CONNECT = "mx1 postfix/smtpd[1]: connect from a.example[192.0.2.1]"


def write(path: Path, lines: list[str], written: datetime | None = None) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    if written:
        os.utime(path, (written.timestamp(),) * 2)
    return path


def hours(log: Path) -> list[str]:
    return [hour.hour for hour in summarise(log).by_hour]


def test_the_year_comes_from_when_the_file_was_written(tmp_path: Path) -> None:
    stamps = [
        "Nov  3 06:00:00",
        "Dec 31 23:59:59",
        "Jan  1 00:00:00",
        "Feb 28 07:00:00",
        "Dec 31 08:00:00",
        "Jan  2 09:00:00",
    ]
    log = write(tmp_path / "mail.log", [f"{stamp} {CONNECT}" for stamp in stamps], datetime(2021, 1, 2, 12, tzinfo=UTC))
    assert hours(log) == [
        "2019-11-03T06",
        "2019-12-31T23",
        "2020-01-01T00",
        "2020-02-28T07",
        "2020-12-31T08",
        "2021-01-02T09",
    ]


LEAP_DAYS = ["Feb 28 06:00:00", "Feb 29 06:00:00", "Mar  1 06:00:00"]


def test_february_29_is_of_a_year_that_has_one(tmp_path: Path) -> None:
    """Whenever the file was copied."""
    log = write(tmp_path / "mail.log", [f"{day} {CONNECT}" for day in LEAP_DAYS], datetime(2026, 6, 1, tzinfo=UTC))
    assert hours(log) == ["2024-02-28T06", "2024-02-29T06", "2024-03-01T06"]
    report = summarise(log, since=datetime(2024, 2, 29, tzinfo=UTC), until=datetime(2024, 3, 1, tzinfo=UTC), zone=UTC)
    assert [hour.hour for hour in report.by_hour] == ["2024-02-29T06"]
    assert report.period.first == datetime(2024, 2, 29, 6, tzinfo=UTC)


def test_february_29_is_known_also_where_several_processes_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "SMALLEST_PIECE", 1)
    days = ["Feb 28 06:00:00"] * 20 + ["Mar  1 06:00:00", "Dec 31 06:00:00", "Jan  1 06:00:00", *LEAP_DAYS]
    log = write(tmp_path / "mail.log", [f"{day} {CONNECT}" for day in days], datetime(2026, 6, 1, tzinfo=UTC))
    assert summarise(log, jobs=4) == summarise(log, jobs=1)
    assert hours(log)[0] == "2023-02-28T06"
    assert hours(log)[-2:] == ["2024-02-29T06", "2024-03-01T06"]


def test_an_old_february_29_does_not_date_what_a_later_run_counts(tmp_path: Path) -> None:
    log, state = tmp_path / "mail.log", tmp_path / "state"
    summarise_new([write(log, [f"{day} {CONNECT}" for day in LEAP_DAYS])], state)
    with log.open("a") as file:
        file.write(f"Jun  1 06:00:00 {CONNECT}\n")
    os.utime(log, (datetime(2025, 6, 1, tzinfo=UTC).timestamp(),) * 2)
    assert [hour.hour for hour in summarise_new([log], state)[0].by_hour] == ["2025-06-01T06"]


def test_a_stamp_with_a_year_tells_that_of_the_others(tmp_path: Path) -> None:
    lines = [f"Dec 31 23:00:00 {CONNECT}", f"2012-01-01T00:10:00+00:00 {CONNECT}", f"Jan  1 01:00:00 {CONNECT}"]
    assert hours(write(tmp_path / "mail.log", lines)) == ["2011-12-31T23", "2012-01-01T00", "2012-01-01T01"]


def test_lines_a_little_out_of_order_do_not_turn_the_year(tmp_path: Path) -> None:
    stamps = ["Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01"]
    log = write(tmp_path / "mail.log", [f"{stamp} {CONNECT}" for stamp in stamps], datetime(2021, 1, 1, 12, tzinfo=UTC))
    assert hours(log) == ["2020-12-31T23", "2021-01-01T00"]


MINUTES = [datetime(2026, 3, 1, 6, tzinfo=UTC) + timedelta(minutes=7 * number) for number in range(200)]


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S+00:00", "%b %e %H:%M:%S"])
@pytest.mark.parametrize(("since", "until"), [(40, 90), (None, 77), (3, None), (60, 60)])
def test_only_lines_of_the_period_count(tmp_path: Path, form: str, since: int | None, until: int | None) -> None:
    log = write(tmp_path / "mail.log", [f"{minute.strftime(form)} {CONNECT}" for minute in MINUTES], MINUTES[-1])
    begin = None if since is None else MINUTES[since]
    end = None if until is None else MINUTES[until]
    report = summarise(log, since=begin, until=end, zone=UTC)
    wanted = MINUTES[since:until]
    assert report.totals.connections == report.lines.total == len(wanted)
    assert (report.period.first, report.period.last) == ((wanted[0], wanted[-1]) if wanted else (None, None))


BACK = ["02:10:00", "02:50:00", "02:10:00", "02:50:00", "03:10:00"]
"""The night in which clocks in Berlin go back from 3:00 to 2:00, at 01:00 UTC."""
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(("since", "count"), [("00:00", 5), ("00:30", 3), ("01:30", 1), ("02:00", 1), ("02:15", 0)])
def test_an_hour_that_comes_twice_is_that_of_the_first_time(tmp_path: Path, since: str, count: int) -> None:
    lines = [f"Oct 25 {clock} {CONNECT}" for clock in BACK]
    log = write(tmp_path / "mail.log", lines, datetime(2026, 10, 25, 12, tzinfo=UTC))
    report = summarise(log, zone=BERLIN)
    assert (report.totals.connections, hours(log)) == (5, ["2026-10-25T02", "2026-10-25T03"])
    moment = datetime.fromisoformat(f"2026-10-25T{since}Z")
    assert summarise(log, since=moment, zone=BERLIN).totals.connections == count


@pytest.mark.parametrize(("since", "count"), [("00:00", 5), ("00:30", 4), ("01:30", 2), ("02:00", 1), ("02:15", 0)])
def test_an_hour_that_comes_twice_is_told_apart_by_offsets(since: str, count: int) -> None:
    offsets = ["+02:00"] * 2 + ["+01:00"] * 3
    lines = [f"2026-10-25T{clock}{offset} {CONNECT}" for clock, offset in zip(BACK, offsets, strict=True)]
    assert summarise(lines, since=datetime.fromisoformat(f"2026-10-25T{since}Z")).totals.connections == count


def test_a_message_from_before_the_period_is_known_in_it() -> None:
    lines = [
        "2026-03-01T06:00:00+00:00 mx1 postfix/smtpd[1]: 4F0A1B2C: client=a[192.0.2.1]",
        "2026-03-01T06:00:00+00:00 mx1 postfix/qmgr[1]: 4F0A1B2C: from=<a@a>, size=700, nrcpt=1 (queue active)",
        "2026-03-02T06:00:00+00:00 mx1 postfix/virtual[1]: 4F0A1B2C: to=<b@b>, relay=virtual, delay=1, delays=1/0/0/0, "
        "dsn=2.0.0, status=sent (delivered to mailbox)",
    ]
    totals = summarise(lines, since=datetime(2026, 3, 2, tzinfo=UTC)).totals
    assert (totals.received, totals.delivered, totals.bytes_delivered) == (0, 1, 700)


def test_journal_entries_are_lines() -> None:
    entry = {
        "__REALTIME_TIMESTAMP": "1772344800000000",
        "_HOSTNAME": "mx1",
        "SYSLOG_IDENTIFIER": "postfix/smtpd",
        "_PID": "7",
        "MESSAGE": "connect from a.example[192.0.2.1]",
    }
    as_bytes = entry | {"MESSAGE": list(b"connect from a.example[192.0.2.1]")}
    report = summarise([json.dumps(entry), json.dumps(as_bytes), '{"MESSAGE": 1}', "{"])
    assert (report.totals.connections, report.lines.unparsed) == (2, 2)
    assert report.period.first == datetime(2026, 3, 1, 6, tzinfo=UTC)


def test_a_log_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(os.urandom(5000))[:2000])
    for path in (torn, tmp_path / "missing", tmp_path):
        with pytest.raises(LogError, match=str(path)):
            summarise(path)


def test_a_damaged_state_is_refused_and_kept(tmp_path: Path) -> None:
    log, state = write(tmp_path / "mail.log", [f"Mar  1 06:00:00 {CONNECT}"]), tmp_path / "state"
    summarise_new([log], state)
    torn = state.read_bytes()[:-9]
    state.write_bytes(torn)
    with pytest.raises(LogError, match="state"):
        summarise_new([log], state)
    assert state.read_bytes() == torn


def test_a_line_being_written_waits_for_its_end(tmp_path: Path) -> None:
    log, state = tmp_path / "mail.log", tmp_path / "state"
    log.write_text(f"Mar  1 06:00:00 {CONNECT}\nMar  1 06:00:01 {CONNECT[:30]}")
    assert summarise_new([log], state)[0].lines.total == 1
    with log.open("a") as file:
        file.write(f"{CONNECT[30:]}\n")
    assert summarise_new([log], state)[0].totals.connections == 1


def test_following_goes_on_in_the_next_file(tmp_path: Path) -> None:
    log = write(tmp_path / "mail.log", [f"Mar  1 06:00:00 {CONNECT}"])
    events = follow(log, from_start=True)
    assert isinstance(next(events), Connected)
    with log.open("a") as file:
        file.write(f"Mar  1 06:00:01 {CONNECT}\n")
    log.rename(tmp_path / "mail.log.1")
    write(log, [f"Mar  1 06:00:02 {CONNECT}"])
    found = [event for event in islice(events, 12) if event is not None]
    assert [event.line.stamp for event in found[:2]] == ["Mar  1 06:00:01", "Mar  1 06:00:02"]


NO_STAMPS = ["Feb 30 06:00:00", "Apr 31 06:00:00", "2026-13-01T06:00:00+00:00", "2026-02-29T06:00:00Z"]
NO_STAMPS += ["2100-02-29T06:00:00Z", "2026-06-31T06:00:00Z", "0000-02-28T06:00:00Z", "0001-01-01T00:00:00Z"]
NO_STAMPS += ["9999-12-31T23:00:00Z"]


@pytest.mark.parametrize("stamp", NO_STAMPS)
@pytest.mark.parametrize("since", [None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_stamp_without_meaning_is_no_stamp(stamp: str, since: datetime | None) -> None:
    report = summarise([f"{stamp} {CONNECT}"], since=since)
    assert (report.lines.unparsed, report.period.first, report.by_hour) == (1, None, ())
    assert parse_line(f"{stamp} {CONNECT}")


@pytest.mark.parametrize("offset", ["+99:99", "-24:00", "+00:60"])
def test_an_offset_that_is_none_does_not_put_others_of_the_hour_into_the_period(offset: str) -> None:
    lines = [f"2026-03-01T06:00:00{offset} {CONNECT}", f"2026-03-01T06:00:01Z {CONNECT}"]
    assert summarise(lines, since=datetime(2026, 3, 2, tzinfo=UTC), zone=UTC).totals.connections == 0


def test_a_leap_second_is_a_stamp() -> None:
    assert summarise([f"2016-12-31T23:59:60Z {CONNECT}"]).period.last == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_both_forms_of_a_stamp_share_an_hour() -> None:
    lines = [f"2026-03-01T06:00:00+00:00 {CONNECT}", f"Mar  1 06:00:01 {CONNECT}"]
    assert [hour.hour for hour in summarise(lines).by_hour] == ["2026-03-01T06"]


def test_stamps_that_contradict_each_other_still_name_days_that_exist() -> None:
    lines = [f"Feb 29 06:00:00 {CONNECT}", f"2026-03-01T06:00:00+00:00 {CONNECT}"]
    report = summarise(lines, zone=UTC)
    assert [hour.hour for hour in report.by_hour] == ["2026-03-01T06"]
    assert report.period.first == datetime(2026, 3, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("Mar  1 06:00:00", datetime(2026, 3, 1, 6, tzinfo=UTC)),
        ("Jun  2 06:00:00", datetime(2026, 6, 2, 6, tzinfo=UTC)),
        ("Jun  3 06:00:00", datetime(2025, 6, 3, 6, tzinfo=UTC)),
        ("Feb 29 06:00:00", datetime(2024, 2, 29, 6, tzinfo=UTC)),
        ("2026-12-01T06:00:00Z", datetime(2026, 12, 1, 6, tzinfo=UTC)),
    ],
)
def test_a_stamp_alone_is_of_the_last_year_it_can_be_of(stamp: str, moment: datetime) -> None:
    assert latest_stamp(stamp.encode(), datetime(2026, 6, 1, 12, tzinfo=UTC), UTC) == moment


def test_a_log_in_no_order_has_hours_that_exist(tmp_path: Path) -> None:
    shuffled = write(tmp_path / "mail.log", [f"Mar  1 06:00:00 {CONNECT}", f"Jan  1 06:00:00 {CONNECT}"] * 3000)
    report = summarise(shuffled)
    assert report.totals.connections == 6000
    assert all(datetime.fromisoformat(hour.hour) for hour in report.by_hour)
    assert "6,000 lines" in render(report, Format.TEXT, Style())


def test_a_log_may_begin_on_a_leap_day_that_seems_to_come(tmp_path: Path) -> None:
    first = write(tmp_path / "mail.log.1", [f"Feb 29 06:00:00 {CONNECT}"], datetime(2024, 2, 1, tzinfo=UTC))
    second = write(tmp_path / "mail.log", [f"Jan 31 06:00:00 {CONNECT}"], datetime(2024, 2, 1, tzinfo=UTC))
    assert summarise([second, first]).lines.parsed == 2


def test_a_byte_order_mark_costs_no_line(tmp_path: Path) -> None:
    line = b"2026-03-01T06:00:00+00:00 mx postfix/smtpd[1]: connect from a.example[192.0.2.1]\n"
    (tmp_path / "mail.log").write_bytes(b"\xef\xbb\xbf" + line)
    for source in (tmp_path / "mail.log", io.BytesIO(b"\xef\xbb\xbf" + line), [b"\xef\xbb\xbf" + line]):
        report = summarise(source)
        assert (report.totals.connections, report.lines.unparsed) == (1, 0)
    report, _ = summarise_new([tmp_path / "mail.log"], tmp_path / "state")
    assert report.totals.connections == 1


def test_a_stream_without_a_line_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    monkeypatch.setattr("mailctl.maillog.source.ENDLESS", 1 << 24)
    with pytest.raises(LogError, match="no line ends within 16 MiB"):
        summarise(io.BufferedReader(Zeros()))
