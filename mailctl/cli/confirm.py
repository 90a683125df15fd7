"""mailctl confirm: keep what was applied with --confirm-within."""

from __future__ import annotations

import click

from mailctl.cli.common import Session, common_options


@click.command()
@common_options
@click.pass_obj
def confirm(session: Session) -> None:
    """Keep the generation that `mailctl apply --confirm-within` put in place; without this it is undone.

    Until then Postfix refuses nothing for good: it answers 4xx where it would answer 5xx. The spec is not read.
    """
    from mailctl.apply.recover import confirm as keep

    session.require_root("confirm")
    number = keep(session.host, session.target(), session.say, session.decide)
    session.emit("", {"confirmed": number})
    session.say(f"Generation {number} is confirmed and serves.")
