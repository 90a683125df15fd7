"""mailctl log: the life of one message, and what a reply means."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailctl.cli.common import FORMAT_VERSION, Session, common_options
from mailctl.cli.terminal import terminal
from mailctl.errors import MailctlError, printable

if TYPE_CHECKING:
    from mailctl.maillog.explain import Explanation


@click.group()
def log() -> None:
    """Follow one message, or explain what a server replied. Reports are made by `mailctl log-report`."""


@log.command()
@click.argument("key", metavar="QUEUE-ID|MESSAGE-ID|ADDRESS")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-n", "most", type=click.IntRange(min=1), default=10, show_default=True, help="Messages to show.")
@click.option("--journal", is_flag=True, help="Read the systemd journal.")
@common_options
@click.pass_obj
def trace(session: Session, key: str, files: tuple[Path, ...], most: int, journal: bool) -> None:
    """The life of a message as a timeline, from FILES or the system's mail log.

    What belongs to it is shown too: re-injections by filters, forwards, bounces.
    """
    from mailctl.cli.log_input import open_repeatable, readable_log
    from mailctl.maillog.formats.safe import to_json
    from mailctl.maillog.trace import trace as find
    from mailctl.maillog.trace.json import as_json
    from mailctl.maillog.trace.text import render

    with readable_log(), open_repeatable(session, files, journal) as blocks:
        found = find(blocks, key, most)
    if not found.lives:
        hint = "name the log that holds that day, oldest first; in a queue id capitals matter"
        raise MailctlError(f"the log tells nothing of {key!r}", hint=hint)
    if session.json:
        click.echo(to_json({"format_version": FORMAT_VERSION, **as_json(found)}, indent=2))
    else:
        click.echo(render(found, *terminal()))


@log.command()
@click.argument("words", metavar="REPLY...", nargs=-1, required=True)
@common_options
@click.pass_obj
def explain(session: Session, words: tuple[str, ...]) -> None:
    """What a reply, an enhanced code or a line of the log means, and what to do next.

    For example: mailctl log explain "550 5.7.26 Unauthenticated email from example.org is not accepted"
    """
    from mailctl.maillog.explain import explain as lookup
    from mailctl.maillog.formats.safe import to_json

    reply = " ".join(words)
    found = lookup(reply)
    if session.json:
        click.echo(to_json({"format_version": FORMAT_VERSION, "text": reply, **_as_json(found)}, indent=2))
    else:
        click.echo(_as_text(reply, found))


def _as_text(reply: str, found: Explanation) -> str:
    codes = " ".join(filter(None, (found.reply, found.enhanced)))
    kind = {True: "permanent: it will not be tried again", False: "temporary: it is tried again", None: ""}
    rows = {
        "reply": printable(reply),
        "codes": ", ".join(filter(None, (codes, kind[found.is_permanent]))),
        "wording": found.provider,
        "means": found.meaning,
        "cause": found.cause.title,
        "next": found.next_step,
        "source": found.source,
    }
    return "\n".join(f"{name:8} {value}" for name, value in rows.items() if value)


def _as_json(found: Explanation) -> dict[str, object]:
    data = asdict(found)
    data["cause"] = {"name": found.cause.name, "title": found.cause.title}
    return {**data, "permanent": found.is_permanent}
