"""`mailctl probe`: prove over the network that the server is safe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailctl.cli.ask import ask
from mailctl.cli.common import Session, common_options
from mailctl.cli.terminal import printable_lines
from mailctl.errors import ExitCode, UsageError

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

    skipped: dict[str, list[Result]] = defaultdict(list)

    def show(text: str) -> None:
        head, rest = text[:4], text[4:]
        click.echo(click.style(head, fg=STYLES[head.strip()]) + rest)

    def announce(result: Result) -> None:
        if session.json or (session.quiet and result.verdict != "FAIL"):
            return
        if result.verdict == "skip" and not session.verbose:
            skipped[result.decisive[0].note].append(result)
            return
        show(printable_lines(render_result(result, verbose=session.verbose)))

    report = run(announce)
    for note, results in skipped.items():
        # Many checks that lack the same thing lack it once.
        many = f"skip  {len(results)} checks (-v names them): {note}"
        show(printable_lines(many if results[1:] else render_result(results[0])))
    if session.json:
        session.emit("", report.as_json())
    elif not session.quiet:
        click.echo(render_totals(report))
    if not report.is_safe:
        raise SystemExit(ExitCode.FAILED)


def split_names(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


@click.command()
@common_options
@check_options
@click.option("--target", metavar="HOST", help="Probe this server from here, without root; the spec is optional.")
@click.option("--from-namespace", is_flag=True, help="From outside addresses made here: the default without --target.")
@click.option("--login", metavar="ADDRESS", help="Log in as this one; the password is asked for.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Read the password of --login from a file.")
@click.pass_obj
def probe(
    session: Session,
    only: str | None,
    fast: bool,
    list_only: bool,
    target: str | None,
    from_namespace: bool,
    login: str | None,
    password_file: Path | None,
) -> None:
    """Prove that the server is safe: no open relay, no AUTH in clear, no false senders, good TLS.

    Without --target it probes this machine from an outside address made for it, which needs root.
    Messages are sent in a lab only: see `mailctl lab probe`. Exit code 1 when a check fails.
    """
    from mailctl.probe import probe_machine, probe_remote, select_checks

    if target and from_namespace:
        raise UsageError("the namespace reaches this machine only", hint="leave out --target or --from-namespace")
    if list_only:
        list_checks(session, only, fast)
        return
    checks = select_checks(split_names(only), fast=fast)
    passwords = {login: read_password(session, login, password_file)} if login else {}
    if target:
        spec = session.load_spec() if session.spec_file else None
        show_report(session, lambda announce: probe_remote(target, spec, checks, announce, passwords=passwords))
        return
    if not session.host.is_live():
        raise UsageError("a folder runs no server", hint="leave out --root, or probe a server with --target")
    spec, paths = session.load_spec(), session.target()
    host = session.host
    show_report(
        session, lambda announce: probe_machine(host, spec, checks, announce, target=paths, passwords=passwords)
    )


def read_password(session: Session, login: str, file: Path | None) -> str:
    """The password of a login: from a file, else asked for.

    Raises:
        UsageError: nobody is there to ask.
    """
    if file:
        return file.read_text().rstrip("\r\n")
    hint = "give it with --password-file"
    if session.no_input:
        raise UsageError(f"nobody is there to give the password of {login}", hint)
    return ask(session, f"Password of {login}", hint, hidden=True)
