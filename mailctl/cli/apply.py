"""mailctl apply: make the server what the spec says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.plan import find_unchanged, plan_exit_code, show_pending, show_plan
from mailctl.errors import ExitCode

if TYPE_CHECKING:
    from mailctl.apply.run import Order
    from mailctl.components.base import Daemon
    from mailctl.host import LocalHost
    from mailctl.plan.saved import SavedPlan
    from mailctl.target import Target


class Seconds(click.ParamType[float]):
    """A time such as `90`, `90s`, `2m` or `1h`, from five seconds to a day."""

    name = "time"
    UNITS: ClassVar = {"": 1, "s": 1, "m": 60, "h": 3600}
    SHORTEST, LONGEST = 5, 86400

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"([0-9]{1,6})([smh]?)", str(value))
        seconds = int(match[1]) * self.UNITS[match[2]] if match else 0
        if not self.SHORTEST <= seconds <= self.LONGEST:
            self.fail(f"{value!r} is no time from 5s to 24h, such as 120s or 2m", param, ctx)
        return float(seconds)


@click.command()
@click.argument("saved", metavar="[PLAN]", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--check", is_flag=True, help="Only show what would change.")
@click.option("--diff", is_flag=True, help="Show every line that changes, however many.")
@click.option("--detailed-exitcode", is_flag=True, help="With --check: exit with 2 where there are differences.")
@click.option("--allow-destroy", is_flag=True, help="Even where more than 30 % of the addresses go.")
@click.option("--overwrite", is_flag=True, help="Replace files changed by hand, after keeping a copy.")
@click.option(
    "--adopt", is_flag=True, help="Print the spec lines that would keep what was changed by hand; apply nothing."
)
@click.option("--confirm-within", type=Seconds(), metavar="TIME", help="Undone unless confirmed in time (90s, 2m).")
@click.option("--no-canary", is_flag=True, help="Do not try it in private first, where this machine cannot.")
@common_options
@click.pass_obj
def apply(
    session: Session,
    saved: Path | None,
    check: bool,
    diff: bool,
    detailed_exitcode: bool,
    allow_destroy: bool,
    overwrite: bool,
    adopt: bool,
    confirm_within: float | None,
    no_canary: bool,
) -> int:
    """Make the server what the spec says, or change nothing.

    Shows the plan, asks, then stages, builds and checks everything, and tries it on a canary: a private server that
    strangers probe. Only then the first live file changes.
    Whatever fails later, Ctrl-C included, puts the old configuration back.
    PLAN is a file of `mailctl plan --out`: what it showed is done, or nothing.
    """
    check = check or adopt
    if not check:
        session.require_root("apply")
    target, host = session.target(), session.host
    if not (saved or adopt) and _has_nothing_to_do(session, target, check):
        return ExitCode.OK
    from mailctl.apply.recover import recover
    from mailctl.apply.run import apply_plan, require_ready
    from mailctl.components.registry import daemons
    from mailctl.plan.make import make_plan
    from mailctl.spec.trust import spec_files

    wanted = _open_saved(session, saved) if saved else None
    spec = session.load_spec()
    spec_text = session.find_spec().read_bytes()
    if not check:
        session.require_trusted([*spec_files(spec), *([saved] if saved else [])])
        recover(host, target, session.say)
    found = make_plan(spec, target, host)
    if wanted is not None:
        wanted.require_same(found, spec_text)
    if adopt:
        from mailctl.plan.drift import adoption

        lines = list(adoption(found.drift_details, spec.postfix.main))
        session.emit("\n".join(lines), {"adopt": lines})
        return ExitCode.OK
    if check:
        show_plan(session, found, verbose=diff, applied=None)
        return plan_exit_code(found, detailed_exitcode)
    show_pending(session, found, verbose=diff)
    if found.number:
        say_what_is_stopped(session, daemons(spec, target))
    if found.is_empty:
        return ExitCode.OK
    order = make_order(session, spec_text, overwrite, allow_destroy, confirm_within)
    if host.is_live():
        order = with_proofs(order, host, has_canary=not no_canary)
    require_ready(host, target, found, order, spec)
    if no_canary:
        session.say("note: this goes live without a canary (--no-canary)")
    if not session.confirm("Apply this?"):
        session.say("nothing was changed")
        return ExitCode.FAILED
    made = apply_plan(host, target, spec, found, order)
    if session.json:
        show_plan(session, found, applied=made.number, canary=made.canary)
    session.say(f"Generation {made.number} serves{_condition(confirm_within)}.")
    return ExitCode.OK


def _has_nothing_to_do(session: Session, target: Target, check: bool) -> bool:
    """Whether that can be told, and then was, without loading the spec; never where an earlier apply is to be ended."""
    from mailctl.apply.journal import read_unfinished

    if not check and read_unfinished(session.host, target) is not None:
        return False
    found = find_unchanged(session, target)
    if found is None or found.inputs is None:
        return False
    if check:
        show_plan(session, found, applied=None)
        return True
    session.require_trusted((*found.inputs.files, *found.inputs.secrets))
    show_pending(session, found)
    say_what_is_stopped(session, found.inputs.daemons)
    return True


def say_what_is_stopped(session: Session, daemons: Iterable[Daemon]) -> None:
    """Name the services that do not run, which an apply starts only where it changes them."""
    from mailctl.components.service import stopped_services

    for problem in stopped_services(session.host, daemons):
        session.say(str(problem))


def make_order(
    session: Session,
    spec_text: bytes = b"",
    overwrite: bool = False,
    allow_destroy: bool = False,
    confirm_within: float | None = None,
) -> Order:
    """Who is at the keyboard, and what he allows."""
    from mailctl.apply.run import Order

    return Order(_user_name(), session.say, spec_text, overwrite, allow_destroy, confirm_within, decided=session.decide)


def with_proofs(order: Order, host: LocalHost, *, has_canary: bool) -> Order:
    """`order` with what a live server must pass before and after the switch."""
    from dataclasses import replace
    from functools import partial

    from mailctl.apply.canary import rehearse
    from mailctl.apply.live_probe import probe_live

    canary = partial(rehearse, host) if has_canary else None
    return replace(order, rehearse=canary, probe=partial(probe_live, host))


def _open_saved(session: Session, path: Path) -> SavedPlan:
    """The saved plan, whose spec and host the session takes over where none was named."""
    from mailctl.plan.saved import load_saved_plan

    found = load_saved_plan(path)
    session.spec_file = session.spec_file or Path(found.spec)
    session.host_name = session.host_name or found.host
    return found


def _condition(confirm_within: float | None) -> str:
    if confirm_within is None:
        return ""
    return f" for {confirm_within:g} s, and refuses nothing for good; `mailctl confirm` keeps it"


def _user_name() -> str:
    import os
    import pwd

    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
