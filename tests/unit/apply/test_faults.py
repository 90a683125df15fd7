"""An apply that breaks at any point leaves all old or all new, and the next one succeeds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from errno import ENOSPC

import pytest

from mailctl.apply.journal import read_unfinished
from mailctl.errors import MailctlError
from mailctl.target import DEBIAN_12
from tests.memory_host import PowerCut
from tests.unit.apply import service
from tests.unit.apply.conftest import OTHER_SPEC, SPEC, Server

Verb = Callable[[Server], object]


@dataclass(frozen=True)
class Scene:
    """What was done before, and the verb that meets the fault."""

    before: tuple[Verb, ...]
    verb: Verb

    def prepare(self, server: Server) -> Callable[[], Server]:
        """Do what comes before once; each call gives a server of its own in that state."""
        for verb in self.before:
            verb(server)
        return lambda: Server(replace(server.host, nodes=dict(server.host.nodes), programs={}, locked=set(), log=[]))


def apply_first(server: Server) -> None:
    server.apply(SPEC)


def apply_other(server: Server) -> None:
    server.apply(OTHER_SPEC)


SCENES = {
    "first apply": Scene((), apply_first),
    "second apply": Scene((apply_first,), apply_other),
    "rollback": Scene((apply_first, apply_other), lambda server: server.rollback(1)),
    "rollback to before the first": Scene((apply_first,), lambda server: server.rollback(0)),
}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return SCENES[request.param]


def count_effects(server: Server, scene: Scene) -> tuple[dict, int]:
    """What /etc holds after the scene, and how many effects that takes."""
    server.host.effects = 0
    scene.verb(server)
    return server.etc(), server.host.effects


def assert_whole(server: Server, before: dict, after: dict, number: int) -> None:
    assert server.etc() in (before, after), f"a mix after a fault at effect {number}"
    assert read_unfinished(server.host, DEBIAN_12) is None
    assert not server.host.files("/var/lib/mailctl/staging")
    assert not [name for name in server.host.list_directory(DEBIAN_12.generations_dir) if name.startswith(".")]
    served = server.etc()[str(service.MAIN_CF)][0]
    assert server.daemon.serves in (None, served), f"serves other files than there are, fault at effect {number}"


@pytest.mark.parametrize(
    ("failure", "for_good"),
    [(OSError(ENOSPC, "No space left on device"), True), (KeyboardInterrupt(), False)],
    ids=["disk full", "interrupted"],
)
def test_whatever_fails_is_undone_at_once(server: Server, scene: Scene, failure: BaseException, for_good: bool) -> None:
    fresh = scene.prepare(server)
    before = server.etc()
    after, effects = count_effects(fresh(), scene)
    for number in range(1, effects + 1):
        broken = fresh()
        broken.host.break_at(number, failure, for_good=for_good)
        # A fault while old generations are removed is only mentioned.
        with suppress(MailctlError, OSError, KeyboardInterrupt):
            scene.verb(broken)
        broken.host.repair()
        unfinished = read_unfinished(broken.host, DEBIAN_12)
        if unfinished is None or not unfinished.is_verified:
            assert_whole(broken, before, after, number)
        scene.verb(broken)
        assert_whole(broken, after, after, number)


def test_power_lost_at_any_moment_is_put_right_by_the_next_run(server: Server, scene: Scene) -> None:
    fresh = scene.prepare(server)
    after, effects = count_effects(fresh(), scene)
    for number in range(1, effects + 1):
        broken = fresh()
        broken.host.break_at(number, PowerCut())
        with pytest.raises(PowerCut):
            scene.verb(broken)
        broken.host.repair()
        scene.verb(broken)
        assert_whole(broken, after, after, number)


def test_power_lost_again_while_the_first_loss_is_put_right(server: Server, scene: Scene) -> None:
    fresh = scene.prepare(server)
    after, effects = count_effects(fresh(), scene)
    for number in range(1, effects + 1, 6):
        for second in range(1, 30, 7):
            broken = fresh()
            broken.host.break_at(number, PowerCut())
            with pytest.raises(PowerCut):
                scene.verb(broken)
            broken.host.repair()
            broken.host.break_at(second, PowerCut())
            with suppress(PowerCut):  # near the end, less is left to do than `second` effects
                scene.verb(broken)
            broken.host.repair()
            scene.verb(broken)
            assert_whole(broken, after, after, number)


def test_what_serves_between_two_renames_never_refuses_a_login_postfix_takes_mail_for(server: Server) -> None:
    server.apply(SPEC)
    seen: list[tuple[bool, bool, bool]] = []

    def note(host_effect: str) -> None:
        files = server.etc()
        users = files[str(service.USERS)][0] or b""
        is_new = files[str(service.MAIN_CF)][0] != old_main
        seen.append((is_new, b"carol@" in users, b"bob@" in users))

    old_main = server.etc()[str(service.MAIN_CF)][0]
    rename = server.host.rename
    server.host.rename = lambda source, destination: (rename(source, destination), note(str(destination)))  # type: ignore[method-assign]
    server.apply(OTHER_SPEC)
    assert all(knows_carol for is_new, knows_carol, _ in seen if is_new)
    assert all(knows_bob for is_new, _, knows_bob in seen if not is_new)
    assert seen[-1] == (True, True, False)
