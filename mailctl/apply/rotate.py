"""Moving the keys of a domain on by one step; safe to repeat, and to kill at any moment.

Each step writes the file of states last (generating: first), so that one that was interrupted is made again. Signing
with a new key touches no generation: KeyTable is renamed into place and OpenDKIM reloads; until then the old key signs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailctl.apply.generation import prepare_state_dir
from mailctl.apply.recover import lock_path
from mailctl.components import opendkim
from mailctl.components.base import Action, ReloadKind
from mailctl.components.opendkim.check import refusals
from mailctl.components.opendkim.view import signing_table
from mailctl.components.service import running_pid
from mailctl.dkim.key_table import key_table, write_key_table
from mailctl.dkim.keys import RECORD_MODE, DkimKey, ensure_key, key_of, public_key_record, signed_domains, zone_line
from mailctl.dkim.rotation import (
    Sighting,
    Step,
    StepKind,
    next_selector,
    next_steps,
    not_published,
    not_revoked,
    promoted,
    settle,
)
from mailctl.dkim.states import (
    REVOKED_RECORD,
    KeyState,
    Stage,
    changed,
    list_keys,
    read_states,
    successor,
    write_states,
)
from mailctl.errors import BusyError, MailctlError, Origin, Problem, UsageError
from mailctl.host import Host, create_whole
from mailctl.spec.model import Dkim, Spec
from mailctl.target import Target

Look = Callable[[str], Sequence[Sighting]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that cannot be made yet, and why."""

    step: Step
    reasons: tuple[str, ...]


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


def rotate(host: Host, target: Target, spec: Spec, domain: str, now: datetime, look: Look, *, auto: bool) -> Rotation:
    """Make the next step that can be made.

    Args:
        look: what every server of the zone shows at a name.
        auto: a new rotation begins only when the spec's `rotate` says so; else at once.

    Raises:
        UsageError: the domain is not signed.
        BusyError: another mailctl is at work.
        MailctlError: it failed; the old key signs, or both are good.
    """
    dkim = require_signed(spec, domain)
    prepare_state_dir(host, target)
    with host.lock(lock_path(target)):
        turner = _Turner(host, target, spec, domain, dkim, now)
        turner.require_applied()
        turner.settle()
        waiting: list[Waiting] = []
        for step in turner.steps():
            reasons = tuple(turner.obstacles(step, look, auto))
            if not reasons:
                turner.make(step)
                return Rotation(domain, step, turner.rest(auto), turner.current, turner.states)
            waiting.append(Waiting(step, reasons))
        return Rotation(domain, None, tuple(waiting), turner.current, turner.states)


def rotate_all(
    host: Host, target: Target, spec: Spec, now: datetime, look: Look
) -> tuple[tuple[Rotation, ...], tuple[Problem, ...]]:
    """One step for every signed domain, as a timer makes it; a domain that fails does not stop the others.

    Raises:
        BusyError: another mailctl is at work.
    """
    done: list[Rotation] = []
    problems: list[Problem] = []
    for domain, _ in signed_domains(spec):
        try:
            done.append(rotate(host, target, spec, domain, now, look, auto=True))
        except BusyError:
            raise
        except MailctlError as error:
            problems += error.problems or (Problem(Origin(domain), "", error.message, error.hint),)
    return tuple(done), tuple(problems)


def generate(host: Host, target: Target, spec: Spec, domain: str, now: datetime, selector: str, bits: int) -> KeyState:
    """Make a key that waits to be published, called `selector`, or after the year where that is empty.

    A key that waits already is the answer where no other name was asked for.

    Raises: as rotate does.
    """
    dkim = require_signed(spec, domain)
    prepare_state_dir(host, target)
    with host.lock(lock_path(target)):
        turner = _Turner(host, target, spec, domain, dkim, now)
        pending = [state for state in turner.states if state.stage is Stage.PENDING]
        if pending and selector not in ("", pending[0].key.selector):
            raise UsageError(
                f"{domain} has a new key already: {pending[0].key.selector}",
                hint=f"publish its record and run `mailctl dkim rotate {domain}`",
            )
        name = selector or (pending[0].key.selector if pending else turner.fresh_name())
        if not pending and name in {state.key.selector for state in turner.states}:
            raise UsageError(f"{domain} had a key called {name} before", hint="a selector is never used twice")
        turner.generate(name, bits or dkim.bits)
        return next(state for state in turner.states if state.key.selector == name)


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


def steps_ahead(states: Sequence[KeyState], dkim: Dkim, now: datetime) -> tuple[str, tuple[Step, ...]]:
    """The selector that signs for a domain, and the steps ahead of its keys."""
    current = successor(states, dkim.selector)
    rotate_after = timedelta(seconds=dkim.rotate) if dkim.rotate else None
    return current, next_steps(settle(states, current, now), current, now, rotate_after)


class _Turner:
    """The keys of one domain, and the steps that change them; the lock is held."""

    def __init__(self, host: Host, target: Target, spec: Spec, domain: str, dkim: Dkim, now: datetime) -> None:
        self.host = host
        self.target = target
        self.spec = spec
        self.domain = domain
        self.dkim = dkim
        self.now = now.replace(microsecond=0)
        self.states = read_states(host, target, domain)
        self.current = successor(self.states, dkim.selector)

    def key(self, selector: str) -> DkimKey:
        return key_of(self.target, self.domain, selector)

    def fresh_name(self) -> str:
        return next_selector(self.states, self.current, self.now)

    def steps(self) -> tuple[Step, ...]:
        """The steps ahead; a key that a crash kept from being made is made first."""
        return tuple(
            replace(step, kind=StepKind.GENERATE)
            if step.kind is StepKind.SIGN and not self._is_made(self.key(step.selector))
            else step
            for step in steps_ahead(self.states, self.dkim, self.now)[1]
        )

    def _is_made(self, key: DkimKey) -> bool:
        return self.host.stat(key.path) is not None and self.host.stat(key.record_path) is not None

    def require_applied(self) -> None:
        """Raises MailctlError where the files that serve do not sign this domain by KeyTable."""
        conf = self.host.read(self.target.opendkim_conf) or b""
        rows = (self.host.read(signing_table(self.target)) or b"").decode(errors="replace").splitlines()
        wanted = f"{self.domain} {self.key(self.dkim.selector).record_name}"
        if b"file:%s\n" % bytes(key_table(self.target)) not in conf or wanted not in rows:
            raise MailctlError(
                f"the configuration that serves does not sign {self.domain} with the key the spec names",
                hint="run `mailctl apply` first",
            )

    def obstacles(self, step: Step, look: Look, auto: bool) -> Iterator[str]:
        """Why `step` cannot be made now; each a sentence."""
        key = self.key(step.selector)
        if step.kind is StepKind.GENERATE:
            yield from self._too_early(step, auto)
        elif step.due and step.due > self.now:
            yield f"mail in flight still needs it, until {_day(step.due)}"
        elif step.kind is StepKind.SIGN:
            yield from not_published(public_key_record(self.host, key), look(key.record_name))
            yield from (f"{message}; {hint}" for message, hint in refusals(self.host, self.target, key))
        elif step.kind is StepKind.DELETE:
            yield from not_revoked(look(key.record_name))

    def _too_early(self, step: Step, auto: bool) -> Iterator[str]:
        if auto and step.due is None:
            yield "`rotate` is not set in the spec"
        elif auto and step.due and step.due > self.now:
            yield f"not before {_day(step.due)}"
        elif not auto and len(self.steps()) > 1:
            yield "the rotation before is to end first; `mailctl dkim keygen` starts another at once"

    def settle(self) -> None:
        """Keep what the spec changed: which key signs, and since when another does not."""
        settled = settle(self.states, self.current, self.now)
        if settled != self.states:
            self._write_table(settled)
            self._keep(settled)

    def make(self, step: Step) -> None:
        key = self.key(step.selector)
        if step.kind is StepKind.GENERATE:
            self.generate(step.selector, self.dkim.bits)
        elif step.kind is StepKind.SIGN:
            self._sign(step.selector)
        elif step.kind is StepKind.RETIRE:
            create_whole(self.host, key.record_path, zone_line(key, REVOKED_RECORD), RECORD_MODE)
            self._keep(changed(self.states, step.selector, retired=self.now))
        else:
            self.host.remove(key.path)
            self.host.remove(key.record_path)
            self._keep(changed(self.states, step.selector, deleted=self.now))

    def generate(self, selector: str, bits: int) -> None:
        # The state comes first: a key without one counts as signing.
        if selector not in {state.key.selector for state in self.states}:
            self._keep((*self.states, KeyState(self.key(selector), self.now)))
        ensure_key(self.host, self.target, self.key(selector), bits)

    def rest(self, auto: bool) -> tuple[Waiting, ...]:
        """The steps after one was made, the DNS not asked again."""
        return tuple(Waiting(step, tuple(self._outlook(step, auto))) for step in self.steps())

    def _outlook(self, step: Step, auto: bool) -> Iterator[str]:
        if step.kind is StepKind.SIGN:
            yield "its record must be published first"
        elif step.kind is StepKind.DELETE:
            yield "its record must be emptied or removed first"
        else:
            yield from self.obstacles(step, lambda name: (), auto)

    def _sign(self, selector: str) -> None:
        states = promoted(self.states, self.current, selector, self.now)
        self._write_table(states)
        self._reload()
        self._keep(states)
        self.current = selector

    def _write_table(self, states: Sequence[KeyState]) -> None:
        others = [state for state in list_keys(self.host, self.target) if state.key.domain != self.domain]
        write_key_table(self.host, self.target, sorted([*others, *states], key=lambda state: state.key.domain))

    def _reload(self) -> None:
        # One that does not run reads the table when it starts.
        if not self.host.is_live() or running_pid(self.host, opendkim.daemon(self.target)) is None:
            return
        opendkim.perform(self.host, self.target, Action(opendkim.NAME, ReloadKind.RELOAD, "KeyTable changed"))
        if problems := opendkim.verify(self.host, self.spec, self.target):
            raise _unwell(problems)

    def _keep(self, states: Sequence[KeyState]) -> None:
        write_states(self.host, self.target, self.domain, states)
        self.states = tuple(states)


def _unwell(problems: list[Problem]) -> MailctlError:
    return MailctlError("OpenDKIM did not take the new KeyTable; both keys are good", problems=problems)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
