"""Moving the keys of a domain on by one step; safe to repeat, and to kill at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailctl.apply.generation import prepare_state_dir
from mailctl.apply.keys import DomainKeys, Waiting, World
from mailctl.apply.recover import lock_path
from mailctl.dkim.keys import signed_domains
from mailctl.dkim.rotation import Sighting, Step, StepKind
from mailctl.dkim.states import KeyState, Stage
from mailctl.errors import BusyError, MailctlError, Origin, Problem, UsageError
from mailctl.host import Host
from mailctl.spec.model import Dkim, Spec
from mailctl.target import Target


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done for a domain, what it waits for, and its keys afterwards."""

    domain: str
    done: Step | None
    waiting: tuple[Waiting, ...]
    current: str
    states: tuple[KeyState, ...] = field(repr=False)

    @property
    def is_stuck(self) -> bool:
        """Whether nothing was done because the DNS does not show what it should."""
        return self.done is None and bool(self.without_dates().waiting)

    def without_dates(self) -> Rotation:
        """Without the steps that only wait for a day to come: nobody has to do anything."""
        waiting = [each for each in self.waiting if each.step.kind in (StepKind.SIGN, StepKind.DELETE)]
        return replace(self, waiting=tuple(waiting))


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the DNS said before the lock was taken."""

    answers: Mapping[str, Sequence[Sighting]]

    def about(self, name: str) -> Sequence[Sighting]:
        if name not in self.answers:
            raise BusyError("another mailctl moved the keys while the DNS was asked", hint="run it again")
        return self.answers[name]


def rotate(host: Host, target: Target, spec: Spec, domain: str, now: datetime, world: World, *, auto: bool) -> Rotation:
    """Make the next step that can be made.

    Args:
        auto: a new rotation begins only when the spec's `rotate` says so; else at once.

    Raises:
        UsageError: the domain is not signed.
        BusyError: another mailctl is at work, or was while the DNS was asked.
        MailctlError: it failed; the old key signs, or both are good.
    """
    dkim = require_signed(spec, domain)
    prepare_state_dir(host, target)
    keys = DomainKeys(host, target, spec, domain, dkim, now)
    keys.require_applied()
    # A silent DNS takes a minute, in which nobody else is to wait for the lock.
    heard = replace(world, look=_Heard({name: world.look(name) for name in keys.questions()}).about)
    with host.lock(lock_path(target)):
        keys = DomainKeys(host, target, spec, domain, dkim, now)
        keys.require_applied()
        keys.settle()
        waiting: list[Waiting] = []
        for step in keys.steps():
            reasons = tuple(keys.obstacles(step, heard, auto))
            if not reasons:
                keys.make(step, heard)
                return Rotation(domain, step, keys.rest(auto), keys.current, keys.states)
            waiting.append(Waiting(step, reasons))
        return Rotation(domain, None, tuple(waiting), keys.current, keys.states)


def rotate_all(
    host: Host, target: Target, spec: Spec, now: datetime, world: World
) -> tuple[tuple[Rotation, ...], tuple[Problem, ...]]:
    """One step for every signed domain, as a timer makes it; a domain that fails does not stop the others.

    Raises:
        BusyError: another mailctl is at work.
    """
    done: list[Rotation] = []
    problems: list[Problem] = []
    for domain, _ in signed_domains(spec):
        try:
            done.append(rotate(host, target, spec, domain, now, world, auto=True))
        except BusyError:
            raise
        except MailctlError as error:
            problems += error.problems or (Problem(Origin(domain), "", error.message, error.hint),)
    return tuple(done), tuple(problems)


def generate(host: Host, target: Target, spec: Spec, domain: str, now: datetime, selector: str, bits: int) -> KeyState:
    """Make a key that waits to be published, called `selector`, or after the year where that is empty.

    The first is called as the spec says: the next apply signs with it.

    A key that waits already is the answer where no other name was asked for.

    Raises: as rotate does.
    """
    dkim = require_signed(spec, domain)
    prepare_state_dir(host, target)
    with host.lock(lock_path(target)):
        keys = DomainKeys(host, target, spec, domain, dkim, now)
        pending = [state for state in keys.states if state.stage is Stage.PENDING]
        if pending and selector not in ("", pending[0].key.selector):
            raise UsageError(
                f"{domain} has a new key already: {pending[0].key.selector}",
                hint=f"publish its record and run `mailctl dkim rotate {domain}`",
            )
        name = selector or (pending[0].key.selector if pending else keys.fresh_name() if keys.states else dkim.selector)
        if not pending and name in {state.key.selector for state in keys.states}:
            raise UsageError(f"{domain} had a key called {name} before", hint="a selector is never used twice")
        keys.generate(name, bits or dkim.bits)
        return next(state for state in keys.states if state.key.selector == name)


def require_signed(spec: Spec, domain: str) -> Dkim:
    """How the spec has a domain signed.

    Raises:
        UsageError: it has not.
    """
    record = spec.domains.get(domain)
    if record is None or record.dkim is None:
        signed = ", ".join(name for name, each in spec.domains.items() if each.dkim) or "none"
        raise UsageError(f"the spec does not sign {domain!r}", hint=f"signed domains: {signed}")
    return record.dkim
