"""A rotation from the first key to the end of it, day by day: no message is ever without a key that verifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailctl.apply.keys import World
from mailctl.apply.rotate import generate, rotate
from mailctl.components import opendkim
from mailctl.dkim.key_table import key_table, render_key_table
from mailctl.dkim.keys import key_of
from mailctl.dkim.rotation import Sighting, StepKind, flight_time, next_selector, not_published, not_revoked
from mailctl.dkim.states import KeyState, Stage, list_keys, read_states, states_path
from mailctl.errors import BusyError, MailctlError, UsageError
from mailctl.spec.model import PostfixSettings, Spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree
from tests.dkim.memory_signer import DOMAIN, SPEC, MemorySigner
from tests.memory_host import PowerCut

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ONE_ROTATION = 14  # days: made, published, a week in flight, emptied
DAYS = 60  # a key of 30 days is replaced, retired and deleted within


@pytest.fixture
def signer() -> MemorySigner:
    return MemorySigner(START)


def stages(signer: MemorySigner) -> dict[str, Stage]:
    return {state.key.selector: state.stage for state in read_states(signer.host, DEBIAN_12, DOMAIN)}


def is_table_right(signer: MemorySigner) -> bool:
    wanted = render_key_table(DEBIAN_12, list_keys(signer.host, DEBIAN_12))
    return signer.host.read(key_table(DEBIAN_12)) == wanted


def live(signer: MemorySigner, days: int) -> list[StepKind]:
    """Days of a server with a timer and an administrator who publishes what is asked for, a day late."""
    done = []
    for _ in range(days):
        signer.send()
        try:
            found = signer.step()
        except PowerCut:
            signer.restart()
            found = None
        if found and found.done:
            done.append(found.done.kind)
        signer.send()
        assert signer.unverifiable() == []
        assert found is None or is_table_right(signer)
        signer.now += DAY
        assert signer.unverifiable() == []
        signer.publish()
        assert signer.unverifiable() == []
    return done


def test_a_full_rotation_leaves_no_gap(signer: MemorySigner) -> None:
    # The first key is as old as its file: its first step is due at once.
    assert live(signer, DAYS) == [StepKind.GENERATE, StepKind.SIGN, StepKind.RETIRE, StepKind.DELETE] * 2
    assert stages(signer) == {"s2026a": Stage.DELETED, "s2026b": Stage.DELETED, "s2026c": Stage.SIGNING}
    assert {mail.selector for mail in signer.mails} == {"s2026a", "s2026b", "s2026c"}


def test_power_lost_at_any_moment_converges_without_a_gap() -> None:
    whole = MemorySigner(START)
    whole.host.effects = 0
    live(whole, ONE_ROTATION)
    effects = whole.host.effects
    assert effects > 25
    for effect in range(1, effects + 1):
        signer = MemorySigner(START)
        signer.host.break_at(effect, PowerCut())
        live(signer, ONE_ROTATION + 5)
        found = stages(signer)
        assert found["s2026a"] is Stage.DELETED, effect
        assert list(found.values()).count(Stage.SIGNING) == 1, effect
        assert not any(".new" in path for path in signer.host.files("/etc/dkimkeys")), effect


def test_nothing_is_written_where_nothing_is_to_do(signer: MemorySigner) -> None:
    signer.step()
    before = dict(signer.host.nodes)
    assert signer.step().done is None
    assert signer.host.nodes == before


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ((), "the servers of the zone cannot be found"),
        ((Sighting("ns1", absence="nxdomain"),), "ns1: nxdomain"),
        ((Sighting("ns1", failure="timeout"),), "ns1: timeout"),
        ((Sighting("ns1", ("v=DKIM1; p=AAAA",)),), "ns1: it shows another key"),
        ((Sighting("ns1", ("v=DKIM1; p=",)),), "ns1: it shows another key"),
        ((Sighting("ns1", ("v=DKIM1; p=AAAA", "v=DKIM1; p=BBBB")),), "ns1: 2 records"),
        ((Sighting("ns1", ("{record}",)), Sighting("ns2", absence="nxdomain")), "ns2: nxdomain"),
    ],
)  # fmt: skip
def test_a_key_that_is_not_visible_does_not_sign(
    signer: MemorySigner, shown: tuple[Sighting, ...], reason: str
) -> None:
    signer.step()
    signer.publish()
    record = signer.records[f"s2026b._domainkey.{DOMAIN}"]
    seen = [replace(each, records=tuple(text.replace("{record}", record) for text in each.records)) for each in shown]
    found = rotate(
        signer.host,
        DEBIAN_12,
        SPEC,
        DOMAIN,
        signer.now,
        World(lambda name: seen, lambda domain: signer.signer),
        auto=False,
    )
    assert found.done is None
    assert found.is_stuck
    assert any(reason in each for each in found.waiting[0].reasons), found.waiting
    assert (signer.signer, stages(signer)["s2026b"]) == ("s2026a", Stage.PENDING)


def test_a_retired_key_is_kept_while_the_dns_shows_it(signer: MemorySigner) -> None:
    live(signer, 2)
    signer.now += 8 * DAY
    assert signer.step().done
    found = signer.step(auto=False)
    assert (found.done, found.is_stuck) == (None, True)
    assert "still shows the key" in found.waiting[0].reasons[0]
    assert stages(signer)["s2026a"] is Stage.RETIRED


def test_by_hand_a_rotation_ends_before_the_next_begins(signer: MemorySigner) -> None:
    signer.step(auto=False)
    signer.publish()
    signer.step(auto=False)
    assert signer.signer == "s2026b"
    found = signer.step(auto=False)
    assert (found.done, found.is_stuck) == (None, False)
    signer.now += 8 * DAY
    signer.step(auto=False)
    found = signer.step(auto=False)
    assert found.done is None
    assert "is to end first" in found.waiting[1].reasons[0]


def test_a_timer_makes_no_key_before_its_time(signer: MemorySigner) -> None:
    record = SPEC.domains[DOMAIN]
    assert record.dkim
    plain = record.model_copy(update={"dkim": record.dkim.model_copy(update={"rotate": None})})
    without = SPEC.model_copy(update={"domains": {DOMAIN: plain}})
    found = rotate(signer.host, DEBIAN_12, without, DOMAIN, signer.now, signer.world, auto=True)
    assert found.done is None
    assert "`rotate` is not set" in found.waiting[0].reasons[0]
    live(signer, 12)
    assert "not before" in signer.step().waiting[0].reasons[0]


def respelt(selector: str) -> Spec:
    record = SPEC.domains[DOMAIN]
    assert record.dkim
    changed = record.model_copy(update={"dkim": record.dkim.model_copy(update={"selector": selector})})
    return SPEC.model_copy(update={"domains": {DOMAIN: changed}})


def install(signer: MemorySigner, spec: Spec) -> None:
    tree = Tree.of(opendkim.render(spec, DEBIAN_12))
    opendkim.build(signer.host, spec, DEBIAN_12, tree)
    for file in tree:
        signer.host.put(str(file.path), file.content.decode())


def test_a_key_the_spec_no_longer_names_is_retired_too(signer: MemorySigner) -> None:
    spec = respelt("mine")
    install(signer, spec)
    rotate(signer.host, DEBIAN_12, spec, DOMAIN, signer.now, signer.world, auto=True)
    assert stages(signer)["s2026a"] is Stage.REPLACED
    row = f"s2026a._domainkey.{DOMAIN} {DOMAIN}:mine:"
    assert row in (signer.host.read(key_table(DEBIAN_12)) or b"").decode()
    signer.restart()
    signer.now += 8 * DAY
    done = rotate(signer.host, DEBIAN_12, spec, DOMAIN, signer.now, signer.world, auto=True).done
    assert done is not None
    assert (done.kind, done.selector) == (StepKind.RETIRE, "s2026a")


def test_a_configuration_that_is_not_applied_is_not_turned(signer: MemorySigner) -> None:
    with pytest.raises(MailctlError, match=r"does not sign example\.org") as caught:
        rotate(signer.host, DEBIAN_12, respelt("mine"), DOMAIN, signer.now, signer.world, auto=False)
    assert "mailctl apply" in caught.value.hint


def test_domains_that_are_not_signed_are_named(signer: MemorySigner) -> None:
    with pytest.raises(UsageError, match=r"example\.com"):
        rotate(signer.host, DEBIAN_12, SPEC, "example.com", signer.now, signer.world, auto=False)


def test_one_mailctl_at_a_time(signer: MemorySigner) -> None:
    signer.step()
    with signer.host.lock(DEBIAN_12.state_dir / "lock"), pytest.raises(BusyError):
        signer.step()


def make(signer: MemorySigner, selector: str = "") -> str:
    return generate(signer.host, DEBIAN_12, SPEC, DOMAIN, signer.now, selector, 0).key.selector


def test_a_key_made_by_hand(signer: MemorySigner) -> None:
    assert make(signer, "winter") == "winter"
    assert make(signer) == "winter", "shown again"
    with pytest.raises(UsageError, match="has a new key already"):
        make(signer, "summer")
    signer.publish()
    assert signer.step().done
    assert signer.signer == "winter"
    with pytest.raises(UsageError, match="had a key called"):
        make(signer, "s2026a")
    assert make(signer) == "winter-2026a"


def test_without_the_signer_running_the_table_waits_for_its_start(signer: MemorySigner) -> None:
    signer.step()
    signer.publish()
    signer.host.put("/run/opendkim/opendkim.pid", "")
    assert signer.step().done
    assert signer.signer == "s2026a"
    signer.restart()
    assert signer.signer == "s2026b"


def test_a_signer_that_does_not_obey_is_told_again(signer: MemorySigner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailctl.apply.keys.wait_until", lambda holds, pause: holds())
    signer.step()
    signer.publish()
    deaf = World(signer.look, lambda domain: "s2026a")
    with pytest.raises(MailctlError, match="does not sign example.org with s2026b"):  # noqa: RUF043 - a dot is a dot
        rotate(signer.host, DEBIAN_12, SPEC, DOMAIN, signer.now, deaf, auto=True)
    assert stages(signer)["s2026b"] is Stage.PENDING
    assert signer.step().done
    assert stages(signer)["s2026b"] is Stage.SIGNING


def test_the_dns_is_asked_before_anybody_has_to_wait(signer: MemorySigner) -> None:
    signer.step()
    signer.publish()

    def look(name: str) -> Sequence[Sighting]:
        assert not signer.host.locked
        return signer.look(name)

    world = World(look, lambda domain: signer.signer)
    assert rotate(signer.host, DEBIAN_12, SPEC, DOMAIN, signer.now, world, auto=True).done


def test_keys_that_moved_while_the_dns_was_asked_are_left_alone(signer: MemorySigner) -> None:
    generate(signer.host, DEBIAN_12, SPEC, DOMAIN, signer.now, "first", 0)
    signer.publish()

    def look(name: str) -> Sequence[Sighting]:
        """Meanwhile somebody gives the key another name."""
        for path in [each for each in signer.host.nodes if each.stem == "first"]:
            signer.host.rename(path, path.with_stem("other"))
        states = states_path(DEBIAN_12, DOMAIN)
        signer.host.put(str(states), (signer.host.read(states) or b"").decode().replace("first", "other"))
        return signer.look(name)

    world = World(look, lambda domain: signer.signer)
    with pytest.raises(BusyError, match="moved the keys"):
        rotate(signer.host, DEBIAN_12, SPEC, DOMAIN, signer.now, world, auto=True)
    assert signer.signer == "s2026a"


def test_a_key_table_that_was_lost_is_mended(signer: MemorySigner) -> None:
    live(signer, 14)
    signer.host.put(str(key_table(DEBIAN_12)), "gone\n")
    assert signer.step().done is None
    assert signer.host.read(key_table(DEBIAN_12)) == signer.loaded
    assert signer.signer == "s2026b"


def test_a_key_that_still_signs_is_not_retired(signer: MemorySigner) -> None:
    live(signer, 2)
    signer.now += 8 * DAY
    deaf = World(signer.look, lambda domain: "s2026a")
    found = rotate(signer.host, DEBIAN_12, SPEC, DOMAIN, signer.now, deaf, auto=True)
    assert (found.done, found.waiting[0].reasons) == (None, ("OpenDKIM still signs with it",))
    assert stages(signer)["s2026a"] is Stage.REPLACED


def test_a_key_others_can_read_does_not_sign(signer: MemorySigner) -> None:
    signer.step()
    signer.publish()
    path = key_of(DEBIAN_12, DOMAIN, "s2026b").path
    signer.host.set_permissions(path, 0o644, "opendkim", "opendkim")
    found = signer.step()
    assert found.done is None
    assert "others can read" in found.waiting[0].reasons[0]


@pytest.mark.parametrize(
    ("lifetime", "days"),
    [(None, 7), ("3d", 7), ("10d", 12), ("10", 12), ("240h", 12), ("2w", 16), ("$bounce_queue_lifetime", 7)],
)
def test_mail_may_be_in_flight_as_long_as_a_queue_keeps_it(lifetime: str | None, days: int) -> None:
    settings = PostfixSettings(main={"maximal_queue_lifetime": lifetime} if lifetime else {})
    assert flight_time(SPEC.model_copy(update={"postfix": settings})) == days * DAY


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        ("s2026a", "s2026b"),
        ("s2025z", "s2026a"),
        ("mx2-2026c", "mx2-2026a"),
        ("default", "default-2026a"),
        ("net1", "net1-2026a"),
    ],
)
def test_the_name_of_the_next_key(current: str, expected: str) -> None:
    assert next_selector([], current, START) == expected


def test_a_year_has_room_for_many_keys() -> None:
    states = [KeyState(key_of(DEBIAN_12, DOMAIN, "s2026a"), START)]
    for _ in range(40):
        name = next_selector(states, states[-1].key.selector, START)
        states.append(KeyState(key_of(DEBIAN_12, DOMAIN, name), START))
    names = {state.key.selector for state in states}
    assert len(names) == 41
    assert "s2026aa" in names


def test_what_counts_as_revoked() -> None:
    assert list(not_revoked([Sighting("ns1", absence="no data"), Sighting("ns2", ("v=DKIM1; p=",))])) == []
    assert list(not_revoked([])) != []
    assert list(not_revoked([Sighting("ns1", failure="servfail")])) == ["ns1: servfail"]
    assert list(not_published("v=DKIM1; p=AAAA", [Sighting("ns1", ("v=DKIM1;p=AA AA;k=rsa",))])) == []
