"""mailctl route: what happens to the mail for one address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.terminal import printable_lines
from mailctl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mailctl.route import Mail


@click.command()
@click.argument("address")
@click.option("--sender", default="", metavar="ADDRESS", help="The envelope sender; '<>' is the null sender.")
@click.option(
    "--login", default="", metavar="ADDRESS", help="Sent by this login, as itself where no --sender is given."
)
@click.option("--live", is_flag=True, help="Ask the running server's tables too; exit with 1 where they differ.")
@common_options
@click.pass_obj
def route(session: Session, address: str, sender: str, login: str, live: bool) -> int:
    """What happens to mail for ADDRESS: rewriting, restrictions, transport, relays, TLS, signature, quota.

    Worked out from the spec, each step with the line that decides it; without --login the mail comes from outside.
    A name without a domain is a user of the machine.
    """
    from mailctl.route import LiveServer, RenderedServer, differences, trace
    from mailctl.route.json import differences_as_json, journey_as_json
    from mailctl.route.text import render_differences, render_text

    if not address:
        raise UsageError("ADDRESS is empty", hint="give an address, or the name of a user of the machine")
    spec, target = session.load_spec(), session.target()
    address = address.removeprefix("<").removesuffix(">")  # as logs write it
    mail = _mail(address if "@" in address else f"{address}@{spec.server.hostname}", sender, login)
    journey = trace(spec, target, RenderedServer(spec, target), mail)
    text, data = render_text(journey), journey_as_json(journey)
    if not live:
        session.emit(printable_lines(text), data)
        return ExitCode.OK
    found = differences(journey, trace(spec, target, LiveServer(session.host, target), mail))
    verdict = render_differences(found) or "The server does as the spec says."
    session.emit(printable_lines(f"{text}\n\n{verdict}"), {**data, "differences": differences_as_json(found)})
    return ExitCode.FAILED if found else ExitCode.OK


def _mail(address: str, sender: str, login: str) -> Mail:
    from mailctl.route import Mail
    from mailctl.route.model import NULL_SENDER

    user = _parsed("--login", login) if login else ""
    if sender == NULL_SENDER:
        return Mail(_parsed("ADDRESS", address), NULL_SENDER, user)
    return Mail(_parsed("ADDRESS", address), _parsed("--sender", sender) if sender else user, user)


def _parsed(what: str, text: str) -> str:
    from mailctl.spec.values.addresses import parse_address

    try:
        return parse_address(text.removeprefix("<").removesuffix(">"))
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error
