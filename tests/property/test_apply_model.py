"""Any sequence of applies, power cuts, hand edits, rollbacks, confirmations and deadlines, against a simple model."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailctl.apply import recover
from mailctl.apply.journal import read_unfinished
from mailctl.components import registry
from mailctl.errors import BusyError, MailctlError
from mailctl.plan.drift import adoption
from mailctl.plan.stored import read_current
from mailctl.target import DEBIAN_12
from tests.memory_host import PowerCut
from tests.unit.apply import service
from tests.unit.apply.conftest import OTHER_SPEC, SPEC, Server, spec_with

SPECS = (SPEC, OTHER_SPEC, spec_with(aliases={"info": ["bob"], "team": ["ali"]}))
HOUR = 3600.0
SOFT = b"soft_bounce = yes\n"
BY_HAND = b"# by hand\n"

specs = st.sampled_from(range(len(SPECS)))
effects = st.integers(1, 120)
Files = dict[str, tuple[bytes | None, int, str, str]]


@functools.cache
def expected_files() -> dict[int | None, Files]:
    """What lies below /etc while each spec serves, applied to a server without a past."""
    expected: dict[int | None, Files] = {None: Server().etc()}
    for number, spec in enumerate(SPECS):
        fresh = Server()
        fresh.apply(spec)
        expected[number] = fresh.etc()
    return expected


class ApplyModel(RuleBasedStateMachine):
    """`serves` is the spec that serves (None: the files from before), `waiting` the one that may be confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(registry, "COMPONENTS", (sys.modules[service.__name__],))
        self.clock = time.time()
        self.patch.setattr(time, "time", lambda: self.clock)
        self.expected = expected_files()
        self.server = Server()
        self.serves: int | None = None
        self.waiting: int | None = None
        self.is_edited = False
        self.was_edited = False  # comes back with what the deadline puts back
        self.generations: dict[int, int] = {}

    def teardown(self) -> None:
        self.patch.undo()

    @rule(spec=specs, overwrite=st.booleans())
    def apply(self, spec: int, overwrite: bool) -> None:
        self._apply(spec, overwrite=overwrite)

    @rule(spec=specs)
    def apply_for_an_hour(self, spec: int) -> None:
        self._apply(spec, overwrite=True, confirm_within=HOUR)

    def _apply(self, spec: int, **options: object) -> None:
        if self.waiting is not None or (self.is_edited and not options["overwrite"]):
            with pytest.raises(BusyError):
                self.server.apply(SPECS[spec], **options)
            return
        number = self.server.apply(SPECS[spec], allow_destroy=True, **options)
        self.was_edited, self.is_edited = self.is_edited, False
        if number is not None and "confirm_within" in options:
            self.waiting = spec
        elif number is not None:
            self.serves, self.generations[number] = spec, spec

    @rule()
    def confirm(self) -> None:
        if self.waiting is None:
            with pytest.raises(MailctlError):
                recover.confirm(self.server.host, DEBIAN_12, self.server.said.append)
            return
        number = recover.confirm(self.server.host, DEBIAN_12, self.server.said.append)
        self.serves, self.generations[number], self.waiting = self.waiting, self.waiting, None

    @precondition(lambda self: self.waiting is not None)
    @rule(effect=effects)
    def lose_power_while_confirming(self, effect: int) -> None:
        with self.power_lost_at(effect):
            recover.confirm(self.server.host, DEBIAN_12, self.server.said.append)
        with suppress(BusyError):  # it still waits
            self.recover()
        if not recover.is_waiting(self.server.host, DEBIAN_12):
            number = read_current(self.server.host, DEBIAN_12)
            assert number is not None
            self.serves, self.generations[number], self.waiting = self.waiting, self.waiting or 0, None

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def let_the_deadline_pass(self) -> None:
        self.clock += 2 * HOUR
        self.recover()
        self.waiting, self.is_edited = None, self.was_edited

    @precondition(lambda self: self.waiting is not None)
    @rule(effect=effects)
    def lose_power_after_the_deadline(self, effect: int) -> None:
        self.clock += 2 * HOUR
        with self.power_lost_at(effect):
            self.recover()
        self.recover()
        self.waiting, self.is_edited = None, self.was_edited

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def undo_what_waits(self) -> None:
        recover.recover(self.server.host, DEBIAN_12, self.server.said.append, give_up=True)
        self.waiting, self.is_edited = None, self.was_edited

    def recover(self) -> None:
        recover.recover(self.server.host, DEBIAN_12, self.server.said.append)

    @contextmanager
    def power_lost_at(self, effect: int) -> Iterator[None]:
        self.server.host.break_at(effect, PowerCut())
        with suppress(PowerCut):
            yield
        self.server.host.repair()

    @precondition(lambda self: self.waiting is None and not self.is_edited)
    @rule(spec=specs, effect=effects)
    def lose_power_while_applying(self, spec: int, effect: int) -> None:
        with self.power_lost_at(effect):
            self.server.apply(SPECS[spec], allow_destroy=True)
        self.recover()
        self.learn(spec)

    @precondition(lambda self: self.waiting is None and not self.is_edited)
    @rule(spec=specs, effect=effects)
    def lose_power_while_applying_for_an_hour(self, spec: int, effect: int) -> None:
        with self.power_lost_at(effect):
            self.server.apply(SPECS[spec], allow_destroy=True, confirm_within=HOUR)
        with suppress(BusyError):
            self.recover()
        self.was_edited = False
        if recover.is_waiting(self.server.host, DEBIAN_12):
            self.waiting = spec

    @precondition(lambda self: self.waiting is None and not self.is_edited)
    @rule(spec=specs, effect=effects, is_full=st.booleans())
    def fail_while_applying(self, spec: int, effect: int, is_full: bool) -> None:
        """A disk that refuses once, or from then on whatever needs space."""
        self.server.host.break_at(effect, OSError(28, "No space left on device"), for_good=is_full)
        try:
            number = self.server.apply(SPECS[spec], allow_destroy=True)
            assert number is None or self.server.etc() == self.expected[spec]
        except MailctlError:
            pass
        except OSError:  # before anything began; the command line says it in a sentence
            assert self.server.etc() == self.expected[self.serves]
        self.server.host.repair()
        self.recover()
        self.learn(spec)

    def learn(self, spec: int) -> None:
        """Whether an apply that came to a sudden end is the one that serves now."""
        current = read_current(self.server.host, DEBIAN_12)
        if self.server.etc() == self.expected[spec] and current is not None and self.serves != spec:
            self.serves, self.generations[current] = spec, spec

    @precondition(lambda self: self.is_edited)
    @rule()
    def ask_what_would_keep_the_edit(self) -> None:
        before = self.server.etc()
        plan = self.server.plan(SPECS[0])
        kept = list(adoption(plan.drift_details, SPECS[0].postfix.main))
        is_lost = plan.drift != ()
        assert is_lost is bool(kept)
        assert self.server.etc() == before

    @precondition(lambda self: self.waiting is None and self.serves is not None)
    @rule()
    def edit_by_hand(self) -> None:
        content = self.server.etc()[str(service.MAIN_CF)][0] or b""
        self.server.host.put(str(service.MAIN_CF), (content + BY_HAND).decode())
        self.is_edited = True

    @precondition(lambda self: self.waiting is None and not self.is_edited and self.generations)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.generations)[-5:]))
        self.server.rollback(number)
        self.serves = self.generations[number]

    @precondition(lambda self: self.waiting is None and not self.is_edited and self.generations)
    @rule(data=st.data(), effect=effects)
    def lose_power_while_rolling_back(self, data: st.DataObject, effect: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.generations)[-5:]))
        with self.power_lost_at(effect):
            self.server.rollback(number)
        self.recover()
        if read_current(self.server.host, DEBIAN_12) == number:
            self.serves = self.generations[number]

    @invariant()
    def the_files_are_those_of_what_serves(self) -> None:
        found = self.server.etc()
        main_cf = str(service.MAIN_CF)
        if self.is_edited:
            found[main_cf] = self.expected[self.serves][main_cf]
        wanted = dict(self.expected[self.serves if self.waiting is None else self.waiting])
        if self.waiting is not None:
            content, *rest = wanted[main_cf]
            wanted[main_cf] = ((content or b"") + SOFT, *rest)  # type: ignore[assignment]
            found = {path: file for path, file in found.items() if ".mailctl-" not in path}
        assert found == wanted
        assert (read_unfinished(self.server.host, DEBIAN_12) is not None) is (self.waiting is not None)


EXAMPLES = int(os.environ.get("MAILCTL_MODEL_EXAMPLES", "30"))
ApplyModel.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
test_apply_model = ApplyModel.TestCase
