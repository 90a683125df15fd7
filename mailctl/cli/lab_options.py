"""What every verb of `mailctl lab` shares: its options, and finding the lab."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import UsageError

if TYPE_CHECKING:
    from mailctl.host import LocalHost
    from mailctl.sandbox import Sandbox


def lab_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Those of every verb, and which lab."""
    name = click.option("--name", default="lab", show_default=True, help="Which lab; several can be up at once.")
    return common_options(name(function))


def open_lab(session: Session, name: str) -> Sandbox:
    """The lab called `name`, which is up."""
    from mailctl.lab import places

    return places.open_lab(lab_host(session), name)


def lab_host(session: Session) -> LocalHost:
    """The machine itself.

    Raises:
        UsageError: the user means a folder.
    """
    if not session.host.is_live():
        raise UsageError("a lab runs services, and a folder has none", hint="leave out --root")
    return session.host
