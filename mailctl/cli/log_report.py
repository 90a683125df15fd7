"""mailctl log-report: what the mail log tells, for people and for monitoring; also a command of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mailctl.cli import log_extra
from mailctl.cli.common import Session, common_options
from mailctl.cli.log_input import readable_log
from mailctl.cli.log_options import (
    ReportCommand,
    notes_on,
    own_options,
    parse_thresholds,
    pflogsumm_options,
    style_of,
)
from mailctl.cli.log_read import Request, read_report
from mailctl.cli.terminal import terminal
from mailctl.errors import MailctlError, UnfitError, UsageError, printable
from mailctl.host import LocalHost, create_whole
from mailctl.maillog.formats import Format, nagios, prom, render
from mailctl.maillog.rename import without_bang_paths, without_case, without_verp

if TYPE_CHECKING:
    from mailctl.maillog.anonymise import Anonymiser
    from mailctl.maillog.report import Report

MACHINE_ID = PurePosixPath("/etc/machine-id")
TEXTFILE = "mailctl_mail.prom"
CLEAR = "\x1b[2J\x1b[H"


@click.command(cls=ReportCommand)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@own_options
@pflogsumm_options
@common_options
@click.pass_obj
def log_report(session: Session, /, files: tuple[Path, ...], format_: str | None, **values: Any) -> None:
    """Sum up FILES (plain or compressed, - for stdin), what is piped in, or the system's mail log.

    Options of pflogsumm mean the same here: -d, -h, -u, -q, -i, --detail, --problems-first and the others.
    """
    format_given = Format(format_) if format_ else None
    chosen = format_given or (Format.JSON if session.json else Format.TEXT)
    _refuse_contradictions(chosen, values)
    for note in notes_on(values):
        session.say(f"note: {note}")
    with _unknown_to_nagios(chosen), readable_log():
        request = Request.of(files, values)
        if chosen is Format.JSONL:
            _print_lives(session, request, values)
        elif values["follow"]:
            _show_live(session, request, values)
        elif log_extra.is_asked_for(values) and chosen is Format.TEXT:
            with log_extra.readable_twice(session, request) as same:
                _report_once(session, same, chosen, values, is_asked_for=format_given is not None)
                _print_extra(session, same, values)
        else:
            _report_once(session, request, chosen, values, is_asked_for=format_given is not None)
        if values["mailq"] and chosen is Format.TEXT:
            _print(f"\n{_queue(session)}")


def main() -> NoReturn:
    """The command `log-report`: for cron, and for people who type it."""
    from mailctl.cli import main as run

    run(["log-report", *sys.argv[1:]])


def _report_once(
    session: Session, request: Request, format_: Format, values: Mapping[str, Any], is_asked_for: bool
) -> None:
    names = _measured_names()
    warning, critical = parse_thresholds(values["warning"], names), parse_thresholds(values["critical"], names)
    report, sums = read_report(session, request)
    report = _reworded(session, report, values)
    if values["textfile"]:
        _write_textfile(values["textfile"], prom.render(sums, report))
        if not is_asked_for:
            return
    if format_ is Format.NAGIOS:
        line, state = nagios.render(report, warning, critical, may_be_empty=request.state is not None)
        click.echo(line)
        sys.exit(state)
    if format_ is Format.PROM:
        _print(prom.render(sums, report))
    else:
        _print(render(report, format_, style_of(values, *terminal())))


def _print_extra(session: Session, request: Request, values: Mapping[str, Any]) -> None:
    hides = anonymiser(session) if values["anonymise"] else None
    for section in log_extra.extra_sections(request, values, style_of(values, *terminal()).limits.hosts):
        _print("\n" + (hides.text(section) if hides else section))


def _refuse_contradictions(format_: Format, values: Mapping[str, Any]) -> None:
    if values["textfile"] and not values["state"]:
        raise UsageError("counters that only grow need a state", hint="add --state FILE to --textfile")
    if values["anonymise"] and values["unparsed"]:
        raise UsageError("--unparsed writes lines as they are, which --anonymise is there to prevent")
    if values["state"] and any(values[name] for name in ("day", "since", "until", "follow", "e")):
        hint = "leave out -d, --since, --until, --follow and -e"
        raise UsageError("with --state a report is of what is new", hint=hint)
    if values["follow"] and format_ not in (Format.TEXT, Format.JSONL):
        raise UsageError(f"--follow has no end, and {format_.value} needs one", hint="use --format text or jsonl")


def _measured_names() -> frozenset[str]:
    from mailctl.maillog.report import Delay, Report

    return frozenset(nagios.measured(Report(delay=Delay(0, 0, 0, 0, 0))))


@contextmanager
def _unknown_to_nagios(format_: Format) -> Iterator[None]:
    """A plugin says UNKNOWN, exit status 3, where it cannot tell; other formats end as every verb does."""
    try:
        yield
    except MailctlError as error:
        if format_ is not Format.NAGIOS:
            raise
        click.echo(f"MAIL UNKNOWN - {printable(error.message).replace('|', '/')}")
        sys.exit(nagios.State.UNKNOWN)


def _print_lives(session: Session, request: Request, values: Mapping[str, Any]) -> None:
    from mailctl.cli.log_follow import read_lives
    from mailctl.maillog.formats import jsonl

    hides = anonymiser(session) if values["anonymise"] else None
    for line in jsonl.render(read_lives(session, request, values["follow"]), hides):
        click.echo(line)


def _show_live(session: Session, request: Request, values: Mapping[str, Any]) -> None:
    from mailctl.cli.log_follow import follow_reports

    if not sys.stdout.isatty():
        raise UsageError("a live screen needs a terminal", hint="use --format jsonl to follow message by message")
    try:
        for report in follow_reports(session, request):
            style = style_of(values, *terminal())
            lines = render(_reworded(session, report, values), Format.TEXT, style).splitlines()
            shown = lines[: shutil.get_terminal_size().lines - 1]
            click.echo(CLEAR + "\n".join(shown), nl=False)
    except KeyboardInterrupt:
        click.echo()


def _reworded(session: Session, report: Report, values: Mapping[str, Any]) -> Report:
    if values["uucp_mung"]:
        report = without_bang_paths(report)
    if values["ignore_case"]:
        report = without_case(report)
    if values["verp_mung"] is not None:
        report = without_verp(report, forgets_recipient=values["verp_mung"] > 1)
    return anonymiser(session).report(report) if values["anonymise"] else report


def anonymiser(session: Session) -> Anonymiser:
    """Keyed by this machine's id, machine-id(5): the same on every day, and not known to who reads the report."""
    from mailctl.maillog.anonymise import Anonymiser

    key = session.host.read(MACHINE_ID)
    if not key:
        raise UnfitError(f"there is no {MACHINE_ID} to make the hashes from", hint="systemd-machine-id-setup makes one")
    return Anonymiser(b"mailctl log-report\0" + key.strip())


def _print(text: str) -> None:
    # A terminal or cron of another encoding shows "?" for block characters rather than nothing at all.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    click.echo(text)


def _write_textfile(folder: Path, text: str) -> None:
    try:
        create_whole(LocalHost(folder.absolute()), PurePosixPath("/", TEXTFILE), f"{text}\n".encode(), 0o644)
    except FileNotFoundError as error:
        raise UnfitError(f"{folder} is not a folder", hint="make it, or name the node exporter's folder") from error


def _queue(session: Session) -> str:
    done = session.host.run(["mailq"])
    return "\n".join(map(printable, (done.stdout or done.stderr).decode(errors="replace").splitlines()))
