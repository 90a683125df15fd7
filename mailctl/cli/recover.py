"""mailctl recover: end an apply that was interrupted."""

from __future__ import annotations

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import ExitCode, MailctlError


@click.command()
@click.option("--at-boot", is_flag=True, hidden=True, help="Services have not started: put files right only.")
@click.option("--at", type=float, hidden=True, help="Wait until then (seconds since 1970), as the guard does.")
@common_options
@click.pass_obj
def recover(session: Session, at_boot: bool, at: float | None) -> int:
    """End an apply that was interrupted: finished where it was verified, undone where it was not.

    Every apply and rollback does this first, and so does the machine when it boots. The spec is not read.
    An apply that waits for its confirmation is left alone until its time is over.
    """
    from mailctl.apply.guard import describe, keep_watch, report
    from mailctl.apply.recover import recover as end_interrupted

    session.require_root("recover")
    target, host = session.target(), session.host
    if at is None:
        is_ended = end_interrupted(host, target, session.say, give_up=at_boot, services=not at_boot)
        if not is_ended:
            session.say("nothing to recover")
        session.emit("", {"recovered": is_ended})
        return ExitCode.OK
    try:
        keep_watch(host, target, at, lambda message: report(host, message))
    except MailctlError as error:
        report(host, describe(error))
        raise
    return ExitCode.OK
