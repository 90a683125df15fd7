"""`mailctl probe`: prove over the network that the server is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mailctl.cli.common import Session
from mailctl.errors import ExitCode, printable

if TYPE_CHECKING:
    from mailctl.probe import Report, Result

STYLES = {"FAIL": "red", "warn": "yellow", "ok": "green", "skip": "bright_black"}


def check_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which checks to make."""
    only = click.option("--only", metavar="NAMES", help="Families or checks, with commas: relay,auth.offered.")
    fast = click.option("--fast", is_flag=True, help="Only what every apply proves.")
    listing = click.option("--list", "list_only", is_flag=True, help="List the checks and make none.")
    return only(fast(listing(function)))


def list_checks(session: Session, only: str | None, fast: bool) -> None:
    """Print the checks that would be made."""
    from mailctl.probe import select_checks

    checks = select_checks(split_names(only), fast=fast)
    session.emit(
        "\n".join(f"{check.name:<34} {check.claim}" for check in checks),
        {"checks": [{"name": check.name, "family": check.family, "claim": check.claim} for check in checks]},
    )


def show_report(session: Session, run: Callable[[Callable[[Result], None]], Report]) -> None:
    """Make the checks, print each result as it comes; exit code 1 when one failed."""
    from mailctl.probe import render_result, render_totals

    def announce(result: Result) -> None:
        if not session.json and not (session.quiet and result.verdict != "FAIL"):
            text = "\n".join(map(printable, render_result(result, verbose=session.verbose).split("\n")))
            head, rest = text[:4], text[4:]
            click.echo(click.style(head, fg=STYLES[result.verdict]) + rest)

    report = run(announce)
    if session.json:
        session.emit("", report.as_json())
    elif not session.quiet:
        click.echo(render_totals(report))
    if not report.is_safe:
        raise SystemExit(ExitCode.FAILED)


def split_names(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",")) if text else ()
