"""mailctl rollback: put an earlier generation back."""

from __future__ import annotations

import click

from mailctl.cli.apply import make_order, with_proofs
from mailctl.cli.common import Session, common_options
from mailctl.cli.plan import show_pending, show_plan
from mailctl.errors import ExitCode


@click.command()
@click.argument("number", type=click.IntRange(min=0), required=False)
@click.option("--overwrite", is_flag=True, help="Replace files changed by hand, after keeping a copy.")
@common_options
@click.pass_obj
def rollback(session: Session, number: int | None, overwrite: bool) -> int:
    """Put generation NUMBER back; where none is given, the one that served before.

    0 is the state before the first apply. An apply that waits for its confirmation is undone.
    The spec is not read: rollback works where it is broken or gone.
    """
    from mailctl.apply.recover import is_waiting, recover
    from mailctl.apply.run import apply_rollback, choose_generation, require_ready
    from mailctl.plan.make import make_rollback_plan

    session.require_root("rollback")
    target, host = session.target(), session.host
    if is_waiting(host, target) and number is None:
        if not session.confirm("Undo the apply that waits for its confirmation?"):
            return ExitCode.FAILED
        recover(host, target, session.say, give_up=True)
        return ExitCode.OK
    recover(host, target, session.say)
    wanted = choose_generation(host, target, number)
    found = make_rollback_plan(wanted, target, host)
    is_done = found.is_empty and wanted == found.number
    show_pending(session, found, is_done=is_done)
    if is_done:
        return ExitCode.OK
    order = make_order(session, overwrite=overwrite)
    if host.is_live():
        order = with_proofs(order, host, has_canary=False)
    require_ready(host, target, found, order, None)
    if not session.confirm(f"Go back to generation {wanted}?"):
        session.say("nothing was changed")
        return ExitCode.FAILED
    apply_rollback(host, target, wanted, found, order)
    if session.json:
        show_plan(session, found, applied=wanted)
    session.say(f"Generation {wanted} serves.")
    return ExitCode.OK
