"""mailctl plan: what apply would change."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import ExitCode

if TYPE_CHECKING:
    from mailctl.plan.model import Plan
    from mailctl.target import Target

COLORS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


@click.command()
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are differences.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="For `mailctl apply FILE`."
)
@common_options
@click.pass_obj
def plan(session: Session, detailed_exitcode: bool, out: Path | None) -> int:
    """Show what apply would change: for mail, in files, for services. Changes nothing.

    Secrets are never shown. Works without root and without Postfix, and says what it could not compare.
    """
    from mailctl.apply.journal import read_unfinished

    target = session.target()
    found = _make(session, target)
    show_plan(session, found)
    if out is not None:
        _save(session, found, session.find_spec().read_bytes(), out)
    journal = read_unfinished(session.host, target) if session.host.is_root() else None
    if journal is not None:
        what = "waits for `mailctl confirm`" if journal.is_waiting else "was interrupted; the next one ends it first"
        session.say(f"note: an apply {what}")
    return plan_exit_code(found, detailed_exitcode)


def _make(session: Session, target: Target) -> Plan:
    found = find_unchanged(session, target)
    if found is not None:
        return found
    from mailctl.plan.make import make_plan

    return make_plan(session.load_spec(), target, session.host)


def find_unchanged(session: Session, target: Target) -> Plan | None:
    """The empty plan, where it can be told without loading the spec that nothing changed."""
    from mailctl.plan.unchanged import unchanged

    return unchanged(session.find_spec(), target, session.host, session.host_name, os.uname().nodename)


def _save(session: Session, found: Plan, spec_text: bytes, out: Path) -> None:
    from mailctl.host import LocalHost, create_whole
    from mailctl.plan.saved import SavedPlan
    from mailctl.plan.text import render_summary

    saved = SavedPlan.of(found, session.find_spec(), spec_text, session.host_name, render_summary(found))
    folder = LocalHost(out.parent.resolve())
    create_whole(folder, PurePosixPath("/", out.name), saved.as_bytes(), 0o600)
    session.say(f"saved; `mailctl apply {out}` does this and nothing else")


def plan_exit_code(found: Plan, detailed: bool) -> ExitCode:
    """What a dry run exits with."""
    return ExitCode.DIFFERENCES if detailed and not found.is_empty else ExitCode.OK


def show_pending(session: Session, found: Plan, *, is_done: bool | None = None, verbose: bool = False) -> None:
    """Print the plan of what is about to be done, or was done before.

    As JSON only the latter: the one object of a verb that does something follows at its end. Whom `-q`
    shall spare it is not asked either.
    """
    is_done = found.is_empty if is_done is None else is_done
    if session.json and is_done:
        show_plan(session, found, applied=None)
    elif not session.json and not (session.quiet and (is_done or session.yes)):
        show_plan(session, found, verbose=verbose)


def show_plan(session: Session, found: Plan, *, verbose: bool = False, **more: Any) -> None:
    """Print a plan as every verb shows it; `more` is added to its JSON object."""
    from mailctl.plan.json import plan_as_json
    from mailctl.plan.text import render_text

    if session.json:
        session.emit("", {**plan_as_json(found), **more})
        return
    lines = render_text(found, verbose or session.verbose).split("\n")
    session.emit("\n".join(map(_colored, lines)), {})


def _colored(line: str) -> str:
    # Of a diff line, what counts is the character after the indentation.
    return click.style(line, fg=COLORS.get(line.removeprefix("    ")[:1]))
