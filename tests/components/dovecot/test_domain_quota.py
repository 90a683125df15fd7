"""The counter of a domain's quota: made when the domain gets one, then left to Dovecot."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailctl.components import dovecot
from mailctl.components.dovecot.domain_quota import count_usage, counter_file
from mailctl.components.dovecot.view import users_file
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree
from tests.memory_host import MemoryHost

FULL = Path(__file__).parent / "golden/full/spec.yml"
COUNTER = counter_file(DEBIAN_12, "example.org")
MAIL = "/var/vmail/example.org"


@pytest.fixture
def spec() -> Spec:
    return load_spec(FULL)


@pytest.fixture
def host() -> MemoryHost:
    host = MemoryHost()
    host.put(f"{MAIL}/ali/Maildir/new/1.M1P1.mx1,S=980,W=1000", "")
    host.put(f"{MAIL}/ali/Maildir/.Sent/cur/2.M1P1.mx1,S=1960,W=2000:2,S", "")
    host.put(f"{MAIL}/ali/Maildir/dovecot.index.log", "no message")
    host.put(f"{MAIL}/removed/Maildir/cur/3.M1P1.mx1:2,", "thirteen bytes")
    host.put("/var/vmail/example.net/shop/Maildir/new/4.M1P1.mx1,S=9,W=9", "")
    return host


def build(host: MemoryHost, spec: Spec) -> None:
    assert dovecot.build(host, spec, DEBIAN_12, Tree({})) == []


def test_all_mailboxes_and_folders_count_and_nothing_else(host: MemoryHost) -> None:
    usage = count_usage(host, DEBIAN_12, "example.org")
    assert (usage.size, usage.messages) == (1000 + 2000 + len("thirteen bytes"), 3)


def test_a_domain_that_gets_a_quota_is_counted(host: MemoryHost, spec: Spec) -> None:
    build(host, spec)
    node = host.files(str(COUNTER.parent))[str(COUNTER)]
    assert node.content == b"priv/quota/storage\n3014\npriv/quota/messages\n3\n"
    assert (node.mode, node.owner) == (0o600, "vmail")
    assert list(host.files(str(COUNTER.parent))) == [str(COUNTER)]


def test_a_counter_dovecot_keeps_is_left_alone(host: MemoryHost, spec: Spec) -> None:
    live = Tree.of(dovecot.render(spec, DEBIAN_12)).files[users_file(DEBIAN_12)]
    host.put(str(live.path), live.content.decode())
    host.put(str(COUNTER), "what Dovecot counted since")
    build(host, spec)
    assert host.read(COUNTER) == b"what Dovecot counted since"


def test_a_counter_from_an_earlier_time_is_counted_anew(host: MemoryHost, spec: Spec) -> None:
    """The domain had a quota, lost it, and gets one again: nobody counted in between."""
    host.put(str(users_file(DEBIAN_12)), "ali@example.org:{ARGON2ID}x::::::userdb_quota_rule=*:bytes=1\n")
    host.put(str(COUNTER), "stale")
    build(host, spec)
    assert b"3014" in (host.read(COUNTER) or b"")


def test_the_folder_of_the_counters_is_in_the_plan_where_a_domain_has_a_quota(spec: Spec) -> None:
    without = {name: record.model_copy(update={"quota": 0}) for name, record in spec.domains.items()}
    for each, expected in ((spec, True), (spec.model_copy(update={"domains": without}), False)):
        folders = {folder.path for folder in Tree.of(dovecot.render(each, DEBIAN_12)).directories}
        assert (COUNTER.parent in folders) is expected
