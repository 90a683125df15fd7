"""`mailctl lab`: a private server in its own namespaces, and the world around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.lab_mail import read, send, sent
from mailctl.cli.lab_options import lab_host, lab_options, open_lab
from mailctl.cli.probe import check_options, list_checks, show_report, split_names
from mailctl.errors import ExitCode, MailctlError, UsageError, printable

if TYPE_CHECKING:
    pass

FAULTS = ("down", "defer", "refuse")
WELL = "well"


@click.group()
def lab() -> None:
    """A private server at real paths and ports that cannot reach, or be reached by, anything else."""


for verb in (send, read, sent):
    lab.add_command(verb)


@lab.command()
@lab_options
@click.pass_obj
def up(session: Session, name: str) -> None:
    """Start a lab and apply the spec inside it."""
    from mailctl.lab.lifecycle import bring_up
    from mailctl.lab.places import require_root
    from mailctl.lab.status import read_status

    host = lab_host(session)
    require_root(host)
    options = [*(["--host", session.host_name] if session.host_name else []), *(["-q"] if session.quiet else [])]
    running = bring_up(host, name, session.load_spec(), session.find_spec(), options, shows_plan=session.verbose)
    found = read_status(running, name)
    session.emit(str(found), found.as_json())


@lab.command()
@lab_options
@click.pass_obj
def down(session: Session, name: str) -> None:
    """End a lab and remove all it left."""
    from mailctl.lab.lifecycle import bring_down

    was_up = bring_down(lab_host(session), name)
    session.emit("", {"name": name, "was_up": was_up})
    if not was_up:
        session.say(f"no lab called {name!r} was up")


@lab.command()
@common_options
@click.pass_obj
def list(session: Session) -> None:  # noqa: A001 - the name of the verb
    """Name the labs that are up."""
    from mailctl.lab.places import list_labs, require_root

    host = lab_host(session)
    require_root(host)
    names = list_labs(host)
    session.emit("\n".join(names), {"labs": names})


@lab.command()
@lab_options
@click.pass_obj
def status(session: Session, name: str) -> None:
    """Services, queue, messages that left and how, and what a short probe finds; exit code 1 where that fails.

    The probe sends nothing and logs nobody in; `mailctl lab probe` makes every check.
    """
    from mailctl.lab.status import read_status

    spec = session.load_spec() if session.spec_file else None
    found = read_status(open_lab(session, name), name, spec, probes=True)
    session.emit(str(found), found.as_json())
    if not found.is_safe:
        raise SystemExit(ExitCode.FAILED)


@lab.command()
@lab_options
@click.pass_obj
def publish(session: Session, name: str) -> None:
    """Put into the lab's DNS what its server wants published, as after `mailctl --lab dkim rotate`."""
    from mailctl.lab.lifecycle import publish_records

    keys = publish_records(open_lab(session, name), session.load_spec())
    session.emit("\n".join(keys), {"keys": keys})


@lab.command()
@lab_options
@click.option("--id", "queue_id", metavar="QUEUEID", help="Only what became of this message.")
@click.option("-F", "--follow", is_flag=True, help="Go on as lines come.")
@click.pass_obj
def log(session: Session, name: str, queue_id: str | None, follow: bool) -> None:
    """Print the lab's mail.log."""
    from mailctl.lab.log import lines_of_message, read_log

    if follow and session.json:
        raise UsageError("one JSON object cannot be followed", hint="leave out --json or --follow")
    lines = read_log(open_lab(session, name), follow=follow)
    wanted = lines_of_message(lines, queue_id) if queue_id else lines
    if session.json:
        shown = [*wanted]
        if queue_id and not shown:
            _fail_unknown(name, queue_id)
        session.emit("", {"lines": shown})
        return
    found = False
    for line in wanted:
        found = True
        session.emit(printable(line), {})
    if queue_id and not found:
        _fail_unknown(name, queue_id)


@lab.command()
@lab_options
@click.argument("world_host", metavar="[HOST]", required=False)
@click.argument("behaviour", type=click.Choice((*FAULTS, WELL)), required=False)
@click.pass_obj
def world(session: Session, name: str, world_host: str | None, behaviour: str | None) -> None:
    """Make a host of the outside world fail (down, defer, refuse), or well again; without arguments list them."""
    from mailctl.sandbox import Fault

    running = open_lab(session, name)
    if world_host and not behaviour:
        raise UsageError(f"how is {world_host!r} to behave?", hint=f"say one of {', '.join((*FAULTS, WELL))}")
    if world_host and behaviour:
        running.disturb(world_host.lower(), None if behaviour == WELL else Fault(behaviour))
    faults = running.faults()
    session.emit("\n".join(f"{each} {fault}" for each, fault in faults.items()), {"faults": dict(faults)})


@lab.command()
@lab_options
@check_options
@click.pass_obj
def probe(session: Session, name: str, only: str | None, fast: bool, list_only: bool) -> None:
    """Prove that the lab's server is safe, from its outside world; exit code 1 when a check fails.

    Logins get another password for as long as it takes, and some checks stop services for a moment.
    """
    from mailctl.probe import probe_sandbox, select_checks

    if list_only:
        list_checks(session, only, fast)
        return
    spec, checks, running = session.load_spec(), select_checks(split_names(only), fast=fast), open_lab(session, name)
    show_report(session, lambda announce: probe_sandbox(running, spec, checks, announce))


@lab.command(context_settings={"ignore_unknown_options": True})
@lab_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def exec(session: Session, name: str, command: tuple[str, ...]) -> None:  # noqa: A001 - the name of the verb
    """Run a command inside the lab (`mailctl lab exec -- postqueue -p`), or a shell."""
    from mailctl.lab.places import become_inside

    become_inside(open_lab(session, name), command or ("bash",))


def _fail_unknown(name: str, queue_id: str) -> NoReturn:
    from mailctl.lab.places import lab_command

    raise MailctlError(f"no line of the log names {queue_id!r}", hint=f"{lab_command(name, 'log')} shows all of it")
