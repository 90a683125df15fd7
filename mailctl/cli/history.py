"""mailctl history: the generations that were applied."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import NeedsRootError

if TYPE_CHECKING:
    from mailctl.plan.stored import Meta


@click.command()
@common_options
@click.pass_obj
def history(session: Session) -> None:
    """List the generations that were applied, newest first; `*` marks the one that serves.

    `mailctl rollback NUMBER` puts one of them back; 0 is what was there before the first apply.
    """
    from mailctl.plan.stored import read_current, read_meta, read_numbers

    require_reader(session, "history")
    target, host = session.target(), session.host
    current = read_current(host, target)
    found = [read_meta(host, target, number) for number in reversed(read_numbers(host, target))]
    data = {"current": current, "generations": [{**asdict(meta), "current": meta.number == current} for meta in found]}
    session.emit(_table(found, current), data)


def require_reader(session: Session, verb: str) -> None:
    """Refuse early where the verb would read what only root may."""
    if session.host.is_live() and not session.host.is_root():
        raise NeedsRootError(f"{verb} reads what earlier applies kept, which only root may", hint="run it with sudo")


def _table(found: list[Meta], current: int | None) -> str:
    if not found:
        return "Nothing was applied yet."
    width = max(len(meta.who) for meta in found)
    rows = [(meta.number, f"{meta.time}  {meta.who:<{width}}  {meta.summary}{_canary(meta)}") for meta in found]
    rows.append((0, "the files from before the first apply"))
    return "\n".join(f"{'*' if number == current else ' '} {number:>4}  {text}" for number, text in rows)


def _canary(meta: Meta) -> str:
    return f"  Canary: {meta.canary['checks']} checks, {meta.canary['seconds']:.1f} s." if meta.canary else ""
