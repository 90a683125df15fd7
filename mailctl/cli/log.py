"""mailctl log: the life of one message, and what a reply means."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import printable

if TYPE_CHECKING:
    from mailctl.maillog.explain import Explanation


@click.group()
def log() -> None:
    """Follow one message, or explain what a server replied. Reports are made by `mailctl log-report`."""


@log.command()
@click.argument("words", metavar="REPLY...", nargs=-1, required=True)
@common_options
@click.pass_obj
def explain(session: Session, words: tuple[str, ...]) -> None:
    """What a reply, an enhanced code or a line of the log means, and what to do next.

    For example: mailctl log explain "550 5.7.26 Unauthenticated email from example.org is not accepted"
    """
    from mailctl.maillog.explain import explain as lookup

    reply = " ".join(words)
    found = lookup(reply)
    session.emit(_as_text(reply, found), {"text": reply, **_as_json(found)})


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
