"""mailctl status: what serves now, and whether it is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.history import require_reader
from mailctl.errors import ExitCode

if TYPE_CHECKING:
    from mailctl.apply.status import Status


@click.command()
@common_options
@click.pass_obj
def status(session: Session) -> int:
    """Show which generation serves, whether its files are as applied, and whether its services run.

    Exits with 1 where something needs a person: a stopped service, a changed file, an interrupted apply.
    """
    from mailctl.apply.status import how_to_start, read_status

    require_reader(session, "status")
    target = session.target()
    found = read_status(session.host, target)
    session.emit("\n".join(_lines(found, partial(how_to_start, session.host, target))), found.as_json())
    return ExitCode.OK if found.is_well else ExitCode.FAILED


def _lines(found: Status, how_to_start: Callable[[str], str]) -> Iterator[str]:
    if found.meta:
        yield f"generation  {found.meta.number}, applied {found.meta.time} by {found.meta.who}"
        yield f"            {found.meta.summary}"
        changed = f"changed by {found.unfinished}" if found.unfinished else "changed since"
        yield f"files       {changed + ': ' + ', '.join(found.changed) if found.changed else 'as applied'}"
    elif found.number is None:
        yield "generation  none: nothing was applied yet"
    else:
        yield "generation  0: the files from before the first apply"
    for service in found.services:
        state = f"runs (process {service.pid})" if service.pid else click.style("does not run", fg="red")
        yield f"service     {service.name} {service.version} {state}"
        if service.pid is None:
            yield f"            {how_to_start(service.name)}"
    if found.deadline is not None:
        until = time.strftime("%H:%M:%S", time.localtime(found.deadline))
        yield f"waiting     {found.unfinished} is undone at {until} without `mailctl confirm`"
    elif found.unfinished:
        yield f"interrupted {found.unfinished}; the next apply or rollback ends it first"
