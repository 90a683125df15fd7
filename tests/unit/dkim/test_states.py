"""What is known of keys, on a host in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailctl.dkim.key_table import key_table, render_key_table, write_key_table
from mailctl.dkim.keys import key_of
from mailctl.dkim.states import (
    REVOKED_RECORD,
    KeyState,
    Stage,
    current_key,
    list_keys,
    read_states,
    record_to_publish,
    states_path,
    successor,
    write_states,
)
from mailctl.errors import MailctlError
from mailctl.target import DEBIAN_12
from tests.memory_host import MemoryHost

DOMAIN = "example.org"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def state(selector: str, made: int = 0, replaced_by: str = "", **days: int) -> KeyState:
    """A key made `made` days after the start; further stages by the day they were entered."""
    stamps = {name: START + day * DAY for name, day in days.items()}
    return KeyState(key_of(DEBIAN_12, DOMAIN, selector), START + made * DAY, replaced_by=replaced_by, **stamps)


OLD = state("a", signs=0, replaced=10, replaced_by="b")
NEW = state("b", made=9, signs=10)


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost()


@pytest.mark.parametrize(
    ("found", "stage", "day"),
    [
        (state("a", made=1), Stage.PENDING, 1),
        (state("a", signs=2), Stage.SIGNING, 2),
        (state("a", signs=2, replaced=3), Stage.REPLACED, 3),
        (state("a", signs=2, replaced=3, retired=4), Stage.RETIRED, 4),
        (state("a", signs=2, replaced=3, retired=4, deleted=5), Stage.DELETED, 5),
    ],
    ids=lambda value: str(value) if isinstance(value, Stage) else "",
)
def test_a_stage_and_its_beginning(found: KeyState, stage: Stage, day: int) -> None:
    assert (found.stage, found.since) == (stage, START + day * DAY)


def test_a_key_that_never_changed_signs_since_it_was_made(host: MemoryHost) -> None:
    host.put(f"/etc/dkimkeys/{DOMAIN}/a.private", "key")
    host.put(f"/etc/dkimkeys/{DOMAIN}/a.txt", "record")
    (found,) = list_keys(host, DEBIAN_12)
    assert (found.key.domain, found.key.selector, found.stage) == (DOMAIN, "a", Stage.SIGNING)


def test_states_are_read_as_they_were_written(host: MemoryHost) -> None:
    write_states(host, DEBIAN_12, DOMAIN, [NEW, OLD])
    assert read_states(host, DEBIAN_12, DOMAIN) == (OLD, NEW)
    assert host.nodes[states_path(DEBIAN_12, DOMAIN)].mode == 0o644


def test_files_that_are_no_keys_are_no_keys(host: MemoryHost) -> None:
    for path in ("README.PrivateKeys", f"{DOMAIN}/.a.private.new", f"{DOMAIN}/a b.private", "a b/c.private"):
        host.put(f"/etc/dkimkeys/{path}", "x")
    assert list_keys(host, DEBIAN_12) == ()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"keys": []}',
        '{"keys": {"a": {}}}',
        '{"keys": {"a": {"made": "yesterday"}}}',
        '{"keys": {"a": {"made": "2026-01-01T00:00:00"}}}',
        '{"keys": {"../a": {"made": "2026-01-01T00:00:00Z"}}}',
    ],
)
def test_a_damaged_file_is_named(host: MemoryHost, content: str) -> None:
    host.put(str(states_path(DEBIAN_12, DOMAIN)), content)
    with pytest.raises(MailctlError, match=r"states\.json"):
        list_keys(host, DEBIAN_12)


def test_the_key_that_signs_is_the_last_of_those_that_replaced_it(host: MemoryHost) -> None:
    keys = [OLD, replace(NEW, replaced=START, replaced_by="c"), state("c", signs=20)]
    write_states(host, DEBIAN_12, DOMAIN, keys)
    assert current_key(host, DEBIAN_12, DOMAIN, "a").selector == "c"
    assert current_key(host, DEBIAN_12, DOMAIN, "unheard-of").selector == "unheard-of"


def test_keys_that_replace_each_other_end_the_search() -> None:
    assert successor([state("a", replaced_by="b"), state("b", replaced_by="a")], "a") in ("a", "b")


def test_the_row_of_a_replaced_key_leads_to_its_successor() -> None:
    rows = render_key_table(DEBIAN_12, [OLD, NEW]).decode().splitlines()[1:]
    path = "/etc/dkimkeys/example.org/b.private"
    assert rows == [
        f"a._domainkey.example.org example.org:b:{path}",
        f"b._domainkey.example.org example.org:b:{path}",
    ]


def test_no_row_leads_to_a_deleted_key() -> None:
    gone = state("a", signs=0, replaced=1, retired=2, deleted=3, replaced_by="b")
    assert b":a:" not in render_key_table(DEBIAN_12, [gone, NEW])
    assert b":a:" not in render_key_table(DEBIAN_12, [replace(gone, replaced_by="")])


def test_a_table_that_is_right_is_not_written_again(host: MemoryHost) -> None:
    write_states(host, DEBIAN_12, DOMAIN, [OLD, NEW])
    assert write_key_table(host, DEBIAN_12)
    before = host.nodes[key_table(DEBIAN_12)]
    assert not write_key_table(host, DEBIAN_12)
    assert host.nodes[key_table(DEBIAN_12)] is before


def test_what_is_to_be_published(host: MemoryHost) -> None:
    assert record_to_publish(host, state("a", signs=0, replaced=1, retired=2)) == REVOKED_RECORD
    assert record_to_publish(host, state("a", signs=0, replaced=1, retired=2, deleted=3)) is None
    assert record_to_publish(host, state("a")) is None, "a crash came before the key"
    host.put(f"/etc/dkimkeys/{DOMAIN}/a.private", "key")
    for each in (state("a"), state("a", signs=0), OLD):
        found = record_to_publish(host, each)
        assert found is not None
        assert found.startswith("v=DKIM1; k=rsa; p=")
