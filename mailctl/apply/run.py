"""Applying a plan: all of it, or nothing.

    lock · recheck · stage · build tables · check · canary · switch · reload · verify · keep   (any failure: put back)

A rollback is the same with the stored files of an earlier generation, which were built and checked when they were
new: it switches, verifies and keeps them, and never needs the spec.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailctl import __version__
from mailctl.apply.boot import install_unit
from mailctl.apply.generation import (
    next_number,
    prepare_state_dir,
    stage_current,
    stage_generation,
    store_originals,
)
from mailctl.apply.guard import arm
from mailctl.apply.journal import Journal, Step
from mailctl.apply.live_log import log_position
from mailctl.apply.moved import refuse_drift, require_same, require_untouched, save_drift
from mailctl.apply.preflight import refuse_loss, require_fit
from mailctl.apply.recover import Say, lock_path
from mailctl.apply.sessions import end_sessions, removed_logins
from mailctl.apply.staging import build, check, refuse, require_tables, stage_files
from mailctl.apply.switch import (
    commit,
    plan_replacements,
    prepare,
    prepare_hard,
    set_directories,
    soften,
    soften_replacements,
)
from mailctl.apply.transaction import transaction
from mailctl.apply.verify import judge_old, verify_live
from mailctl.components.base import ReloadKind
from mailctl.errors import Problem, UsageError
from mailctl.host import Host
from mailctl.plan.make import service_actions
from mailctl.plan.model import Plan
from mailctl.plan.stored import ORIGINALS, Meta, read_current, read_meta, read_numbers, tables_dir
from mailctl.plan.text import render_summary, render_text
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import Tree

if TYPE_CHECKING:
    # A canary, and all that probes it, is imported where something changes only.
    from mailctl.apply.canary import Rehearsal, Rehearse
    from mailctl.apply.live_probe import Probe


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants an apply, from which spec text, and what he puts up with.

    `confirm_within` seconds after the switch begins an apply that nobody confirmed is undone. Without `rehearse` no
    canary goes ahead, without `probe` no stranger asks the live server afterwards. `decided` is called once the new
    files hold.
    """

    who: str
    say: Say
    spec_text: bytes = field(default=b"", repr=False)
    overwrite: bool = False
    allow_destroy: bool = False
    confirm_within: float | None = None
    rehearse: Rehearse | None = None
    probe: Probe | None = None
    decided: Callable[[], None] = lambda: None


def require_ready(host: Host, target: Target, plan: Plan, order: Order, spec: Spec | None) -> None:
    """Return where nothing stands in the way of `plan`; `spec` is None for a rollback.

    Raises as apply_plan does, before anything was changed.
    """
    if spec is not None:
        refuse_loss(plan, order.allow_destroy)
    require_fit(host, target, plan, spec)
    refuse_drift(plan, order.overwrite)


def apply_plan(host: Host, target: Target, spec: Spec, plan: Plan, order: Order) -> Meta:
    """Make the host what `spec` says, if `plan` is still what that means; what is known of the new generation.

    Raises:
        UnfitError, NeedsRootError: before anything was changed.
        BusyError: locked, the host moved since the plan was made, or hand edits would be lost.
        MailctlError: it failed; the old configuration serves.
        RollbackError: it failed, and the old configuration could not be put back.
    """
    require_ready(host, target, plan, order, spec)
    prepare_state_dir(host, target)
    with host.lock(lock_path(target)):
        require_same(host, target, plan)
        number = next_number(host, target)
        with transaction(host, target, f"apply-{number}", number, order.say, order.decided) as journal:
            save_drift(host, target, plan, order.say)
            staged = stage_files(host, journal, plan)
            stage_current(host, journal.work, number)
            build(host, journal, spec, target, plan.tree)
            if host.is_live():
                _report(refuse(check(host, spec, target, staged), "the new configuration is faulty"), order.say)
            rehearsal = _rehearse(target, spec, plan, journal, order)
            meta = _meta(plan, order, number, rehearsal)
            stage_generation(host, journal.work, plan, meta, order.spec_text, render_text(plan))
            require_untouched(host, plan)
            store_originals(host, target, plan)
            install_unit(host, target)
            _arm_guard(host, journal, order)
            position = log_position(host)
            _switch(host, target, journal, plan, order.say)
            if host.is_live():
                problems = verify_live(host, target, plan.tree, spec, order.probe, position)
                _report(refuse(problems, "the new configuration does not serve"), order.say)
                _report(end_sessions(host, removed_logins(plan.actual, plan.desired, target)), order.say)
    return meta


def apply_rollback(host: Host, target: Target, number: int, plan: Plan, order: Order) -> None:
    """Put the files of generation `number` back; raises as apply_plan does."""
    require_ready(host, target, plan, order, None)
    with host.lock(lock_path(target)):
        require_same(host, target, plan)
        require_tables(host, plan.tree)
        with transaction(host, target, f"rollback-{number}", number, order.say, order.decided) as journal:
            save_drift(host, target, plan, order.say)
            stage_files(host, journal, plan)
            stage_current(host, journal.work, number)
            position = log_position(host)
            _switch(host, target, journal, plan, order.say)
            if host.is_live():
                is_ours = number != ORIGINALS
                tree = plan.tree if is_ours else plan.desired
                problems = verify_live(host, target, tree, None, order.probe, position, stays=not is_ours)
                _report(judge_old(problems, number), order.say)
                _report(end_sessions(host, removed_logins(plan.actual, plan.desired, target)), order.say)


def choose_generation(host: Host, target: Target, number: int | None) -> int:
    """The generation to go back to: `number`, or the one that served before the one that does; 0 where none did.

    Raises:
        UsageError: nothing serves that could be gone back from, or there is no such generation.
    """
    current, numbers = read_current(host, target), [ORIGINALS, *read_numbers(host, target)]
    if current is None:
        raise UsageError("nothing to go back from: nothing was applied", hint="`mailctl history` lists generations")
    if number is None and current == ORIGINALS:
        hint = "`mailctl history` lists the others; `mailctl rollback NUMBER` puts one back"
        raise UsageError("nothing to go back from: generation 0 serves, the files from before the first apply", hint)
    if number is not None and number not in numbers:
        raise UsageError(f"there is no generation {number}", hint="`mailctl history` lists those there are")
    if number is not None:
        return number
    previous = read_meta(host, target, current).previous
    # Where that one was pruned, the newest of those before it.
    return max(each for each in numbers if each <= previous)


def _rehearse(target: Target, spec: Spec, plan: Plan, journal: Journal, order: Order) -> Rehearsal | None:
    if order.rehearse is None:
        return None
    rehearsal = order.rehearse(target, spec, plan, journal.work / "canary")
    order.say(f"The canary passed {rehearsal}.")
    return rehearsal


def _arm_guard(host: Host, journal: Journal, order: Order) -> None:
    if order.confirm_within is not None:
        journal.write(Step.GUARD, deadline=time.time() + order.confirm_within)
        arm(host, next(journal.steps(Step.GUARD))["deadline"])


def _switch(host: Host, target: Target, journal: Journal, plan: Plan, say: Say) -> None:
    is_soft = journal.deadline is not None
    replacements = plan_replacements(plan, target)
    if is_soft:
        replacements = soften_replacements(plan, target, replacements)
    set_directories(host, journal, plan.directories)
    prepare(host, journal, replacements, target)
    if is_soft:
        prepare_hard(host, target, plan)
    commit(host, journal, replacements)
    before = plan.actual if plan.number else Tree({})
    for component, action in service_actions(before, soften(plan.desired, target) if is_soft else plan.desired):
        if action.kind is ReloadKind.NOTHING:
            continue
        if host.is_live():
            component.perform(host, target, action)
        else:
            say(f"skipped: {action.service} {action.kind.value}, because --root names a folder")


def _report(warnings: list[Problem], say: Say) -> None:
    for problem in warnings:
        say(str(problem))


def _meta(plan: Plan, order: Order, number: int, rehearsal: Rehearsal | None) -> Meta:
    tables = tables_dir(plan.tree)
    return Meta(
        number=number,
        previous=plan.number or ORIGINALS,
        time=_now(),
        who=order.who,
        summary=render_summary(plan).removeprefix("Plan: "),
        version=__version__,
        spec_sha256=hashlib.sha256(order.spec_text).hexdigest(),
        tables=tables.name if tables else "",
        canary=asdict(rehearsal) if rehearsal else None,
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
