"""The keys of one domain, and each step that changes them; whoever calls holds mailctl's lock.

Each step writes the file of states last (generating: first), so that one that was interrupted is made again. Signing
with a new key touches no generation: KeyTable is renamed into place and OpenDKIM reloads; until then the old key signs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailctl.components import opendkim
from mailctl.components.base import Action, ReloadKind
from mailctl.components.opendkim.check import refusals
from mailctl.components.opendkim.view import signing_table
from mailctl.components.service import running_pid, wait_until
from mailctl.dkim.key_table import key_table, write_key_table
from mailctl.dkim.keys import RECORD_MODE, DkimKey, ensure_key, key_of, public_key_record, zone_line
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
    changed,
    list_keys,
    read_states,
    successor,
    write_states,
)
from mailctl.errors import MailctlError
from mailctl.host import Host, create_whole
from mailctl.spec.model import Dkim, Spec
from mailctl.target import Target

PAUSE = 0.2  # seconds between two questions to the signer


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that cannot be made yet, and why."""

    step: Step
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Whom a rotation asks: every server of a zone about a name, and the running signer about a domain."""

    look: Callable[[str], Sequence[Sighting]]
    selector_in_use: Callable[[str], str]


NOBODY = World(lambda name: (), lambda domain: "")


class DomainKeys:
    """The keys of one domain, as they are and as steps leave them."""

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
            for step in next_steps(self.spec, self.domain, self.states, self.now)
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

    def obstacles(self, step: Step, world: World, auto: bool) -> Iterator[str]:
        """Why `step` cannot be made now; each a sentence."""
        key = self.key(step.selector)
        if step.kind is StepKind.GENERATE:
            yield from self._too_early(step, auto)
        elif step.due and step.due > self.now:
            yield f"mail in flight still needs it, until {_day(step.due)}"
        elif step.kind is StepKind.SIGN:
            yield from not_published(public_key_record(self.host, key), world.look(key.record_name))
            yield from (f"{message}; {hint}" for message, hint in refusals(self.host, self.target, key))
        elif step.kind is StepKind.DELETE:
            yield from not_revoked(world.look(key.record_name))
        elif self._is_served() and world.selector_in_use(self.domain) == step.selector:
            yield "OpenDKIM still signs with it"

    def questions(self) -> Iterator[str]:
        """The names of the DNS that tell whether the steps ahead can be made now."""
        for step in self.steps():
            if step.kind in (StepKind.SIGN, StepKind.DELETE) and not (step.due and step.due > self.now):
                yield self.key(step.selector).record_name

    def _too_early(self, step: Step, auto: bool) -> Iterator[str]:
        if auto and step.due is None:
            yield "`rotate` is not set in the spec"
        elif auto and step.due and step.due > self.now:
            yield f"not before {_day(step.due)}"
        elif not auto and len(self.steps()) > 1:
            yield "the rotation before is to end first; `mailctl dkim keygen` starts another at once"

    def settle(self) -> None:
        """Keep what the spec changed: which key signs, and since when another does not; mend KeyTable."""
        settled = settle(self.states, self.current, self.now)
        if self._write_table(settled) and self._is_served():
            self._reload()
        if settled != self.states:
            self._keep(settled)

    def make(self, step: Step, world: World) -> None:
        key = self.key(step.selector)
        if step.kind is StepKind.GENERATE:
            self.generate(step.selector, self.dkim.bits)
        elif step.kind is StepKind.SIGN:
            self._sign(step.selector, world)
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
        self._write_table(self.states)

    def rest(self, auto: bool) -> tuple[Waiting, ...]:
        """The steps after one was made, the DNS not asked again."""
        return tuple(Waiting(step, tuple(self._outlook(step, auto))) for step in self.steps())

    def _outlook(self, step: Step, auto: bool) -> Iterator[str]:
        if step.kind is StepKind.SIGN:
            yield "its record must be published first"
        elif step.kind is StepKind.DELETE:
            yield "its record must be emptied or removed first"
        else:
            yield from self.obstacles(step, NOBODY, auto)

    def _sign(self, selector: str, world: World) -> None:
        states = promoted(self.states, self.current, selector, self.now)
        self._write_table(states)
        # A signer that does not run reads the table when it starts.
        if self._is_served():
            self._reload()
            self._require_signature(selector, world)
        self._keep(states)
        self.current = selector

    def _reload(self) -> None:
        opendkim.perform(self.host, self.target, Action(opendkim.NAME, ReloadKind.RELOAD, "KeyTable changed"))

    def _write_table(self, states: Sequence[KeyState]) -> bool:
        others = [state for state in list_keys(self.host, self.target) if state.key.domain != self.domain]
        return write_key_table(self.host, self.target, sorted([*others, *states], key=lambda state: state.key.domain))

    def _is_served(self) -> bool:
        return self.host.is_live() and running_pid(self.host, opendkim.daemon(self.target)) is not None

    def _require_signature(self, selector: str, world: World) -> None:
        """Return once the running signer uses the key.

        Raises:
            MailctlError: it does not, LONGEST_START after it was told.
        """
        if not wait_until(lambda: world.selector_in_use(self.domain) == selector, pause=PAUSE):
            raise MailctlError(
                f"OpenDKIM does not sign {self.domain} with {selector}, though it was told to; the old key is good",
                hint=f"the mail log says why; then run `mailctl dkim rotate {self.domain}` again",
            )

    def _keep(self, states: Sequence[KeyState]) -> None:
        write_states(self.host, self.target, self.domain, states)
        self.states = tuple(states)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
