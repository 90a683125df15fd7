"""mailctl explain: what a key of the spec means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options

if TYPE_CHECKING:
    from mailctl.spec.explain import Explanation


@click.command()
@click.argument("key", default="", required=False)
@common_options
@click.pass_obj
def explain(session: Session, key: str) -> None:
    """Explain a KEY of the spec such as domains.mailboxes.quota; without one, list the keys at the top.

    KEY may be one that `validate` prints; names of your own (domains, mailboxes, relays) may be left out.
    """
    from mailctl.spec.explain import explain as explain_key

    found = explain_key(key)
    session.emit("\n".join(_lines(found)), asdict(found))


def _lines(found: Explanation) -> Iterator[str]:
    if found.key:
        yield found.key
    yield f"  {found.meaning}"
    facts = {
        "type": found.type,
        "default": "none: it must be given" if found.is_required else found.default,
        "example": found.example,
        "renders to": found.renders,
    }
    for name, value in facts.items():
        if value:
            yield f"  {name + ':':<12}{value}"
    if found.keys:
        width = max(len(name) for name, _ in found.keys) + 2
        yield "  keys:"
        yield from (f"    {name:<{width}}{meaning}".rstrip() for name, meaning in found.keys)
    if found.notes:
        yield ""
        yield from (f"  {note}" for note in found.notes)
