"""`mailctl lab`: a private server in its own namespaces, and the world around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.probe import check_options, list_checks, read_password, show_report, split_names
from mailctl.errors import ExitCode, MailctlError, UsageError, printable

if TYPE_CHECKING:
    from mailctl.host import LocalHost
    from mailctl.sandbox import Sandbox

FAULTS = ("down", "defer", "refuse")
WELL = "well"
PORTS = ("25", "587", "465")


def _lab_options(function: Callable[..., Any]) -> Callable[..., Any]:
    name = click.option("--name", default="lab", show_default=True, help="Which lab; several can be up at once.")
    return common_options(name(function))


def _open(session: Session, name: str) -> Sandbox:
    from mailctl.lab.places import open_lab

    return open_lab(_host(session), name)


def _host(session: Session) -> LocalHost:
    if not session.host.is_live():
        raise UsageError("a lab runs services, and a folder has none", hint="leave out --root")
    return session.host


@click.group()
def lab() -> None:
    """A private server at real paths and ports that cannot reach, or be reached by, anything else."""


@lab.command()
@_lab_options
@click.pass_obj
def up(session: Session, name: str) -> None:
    """Start a lab and apply the spec inside it."""
    from mailctl.lab.lifecycle import bring_up
    from mailctl.lab.places import require_root
    from mailctl.lab.status import read_status

    host = _host(session)
    require_root(host)
    options = [*(["--host", session.host_name] if session.host_name else []), *(["-q"] if session.quiet else [])]
    running = bring_up(host, name, session.load_spec(), session.find_spec(), options, shows_plan=session.verbose)
    found = read_status(running, name)
    session.emit(str(found), found.as_json())


@lab.command()
@_lab_options
@click.pass_obj
def down(session: Session, name: str) -> None:
    """End a lab and remove all it left."""
    from mailctl.lab.lifecycle import bring_down

    was_up = bring_down(_host(session), name)
    session.emit("", {"name": name, "was_up": was_up})
    if not was_up:
        session.say(f"no lab called {name!r} was up")


@lab.command()
@common_options
@click.pass_obj
def list(session: Session) -> None:  # noqa: A001 - the name of the verb
    """Name the labs that are up."""
    from mailctl.lab.places import list_labs, require_root

    host = _host(session)
    require_root(host)
    names = list_labs(host)
    session.emit("\n".join(names), {"labs": names})


@lab.command()
@_lab_options
@click.pass_obj
def status(session: Session, name: str) -> None:
    """Services, queue, messages that left and how, and what a short probe finds; exit code 1 where that fails.

    The probe sends nothing and logs nobody in; `mailctl lab probe` makes every check.
    """
    from mailctl.lab.status import read_status

    spec = session.load_spec() if session.spec_file else None
    found = read_status(_open(session, name), name, spec, probes=True)
    session.emit(str(found), found.as_json())
    if not found.is_safe:
        raise SystemExit(ExitCode.FAILED)


@lab.command()
@_lab_options
@click.pass_obj
def publish(session: Session, name: str) -> None:
    """Put into the lab's DNS what its server wants published, as after `mailctl --lab dkim rotate`."""
    from mailctl.lab.lifecycle import publish_records

    keys = publish_records(_open(session, name), session.load_spec())
    session.emit("\n".join(keys), {"keys": keys})


@lab.command()
@_lab_options
@click.option("--from", "sender", required=True, metavar="ADDRESS", help="The envelope sender; '' is the null sender.")
@click.option("--to", "recipients", required=True, multiple=True, metavar="ADDRESS", help="A recipient; repeatable.")
@click.option("--port", type=click.Choice(PORTS), default="25", show_default=True)
@click.option("--tls", is_flag=True, help="STARTTLS on port 25; 587 and 465 are always encrypted.")
@click.option("--login", default="", metavar="ADDRESS", help="Log in; the password is asked for.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Read the password of --login from a file.")
@click.option("--subject", default="a message from the lab", show_default=True)
@click.option("--body", default="Hello from outside.", show_default=True)
@click.option(
    "--eml", type=click.Path(path_type=Path), help="Send this file as it is, instead of --subject and --body."
)
@click.option("--source", default="192.0.2.77", show_default=True, help="The client's address, any but the server's.")
@click.option("--wait", is_flag=True, help="Return once the message has left the queue.")
@click.pass_obj
def send(
    session: Session,
    name: str,
    sender: str,
    recipients: tuple[str, ...],
    port: str,
    tls: bool,
    login: str,
    password_file: Path | None,
    subject: str,
    body: str,
    eml: Path | None,
    source: str,
    wait: bool,
) -> None:
    """Send a message to the lab from outside; exit code 1 when a recipient is refused."""
    from mailctl.lab import mail
    from mailctl.lab.log import wait_until_removed

    running = _open(session, name)
    submission = mail.Submission(
        sender=sender,
        recipients=recipients,
        content=eml.read_bytes() if eml else mail.compose(sender, recipients, subject, body),
        port=int(port),
        tls=tls,
        login=login,
        password=read_password(session, login, password_file) if login else "",
        source=source,
    )
    outcome = mail.send(running, submission)
    session.emit(printable_lines(str(outcome)), outcome.as_json())
    if not outcome.is_accepted:
        raise SystemExit(ExitCode.FAILED)
    if wait and not wait_until_removed(running, outcome.queue_id):
        session.say(f"the message is still in the queue: `mailctl lab log --id {outcome.queue_id}` says why")
        raise SystemExit(ExitCode.FAILED)


@lab.command()
@_lab_options
@click.argument("login")
@click.option("--password-file", type=click.Path(path_type=Path), help="Read the password from a file.")
@click.option("--folder", default="INBOX", show_default=True)
@click.pass_obj
def read(session: Session, name: str, login: str, password_file: Path | None, folder: str) -> None:
    """Print the newest message of a mailbox, fetched over IMAPS; exit code 1 when there is none."""
    from mailctl.lab.mail import read_newest

    message = read_newest(_open(session, name), login, read_password(session, login, password_file), folder)
    if message is None:
        session.say(f"{folder} of {login} is empty")
        raise SystemExit(ExitCode.FAILED)
    text = message.decode(errors="replace").replace("\r\n", "\n")
    session.emit(printable_lines(text), {"login": login, "folder": folder, "message": text})


@lab.command()
@_lab_options
@click.option("--to", "recipient", default="", metavar="ADDRESS", help="The newest for this recipient.")
@click.option("--verify", is_flag=True, help="Verify its DKIM signature; exit code 1 where it does not hold.")
@click.pass_obj
def sent(session: Session, name: str, recipient: str, verify: bool) -> None:
    """Print the newest message that left: which way, with which login, its headers."""
    from mailctl.lab.sent import read_sent

    found = read_sent(_open(session, name), recipient, verify=verify)
    if found is None:
        session.say(f"no message has left{f' for {recipient}' if recipient else ''} yet")
        raise SystemExit(ExitCode.FAILED)
    session.emit(printable_lines(str(found)), found.as_json())
    if verify and not found.is_valid:
        raise SystemExit(ExitCode.FAILED)


@lab.command()
@_lab_options
@click.option("--id", "queue_id", metavar="QUEUEID", help="Only what became of this message.")
@click.option("-F", "--follow", is_flag=True, help="Go on as lines come.")
@click.pass_obj
def log(session: Session, name: str, queue_id: str | None, follow: bool) -> None:
    """Print the lab's mail.log."""
    from mailctl.lab.log import lines_of_message, read_log

    if follow and session.json:
        raise UsageError("one JSON object cannot be followed", hint="leave out --json or --follow")
    lines = read_log(_open(session, name), follow=follow)
    wanted = lines_of_message(lines, queue_id) if queue_id else lines
    if session.json:
        shown = [*wanted]
        if queue_id and not shown:
            _fail_unknown(queue_id)
        session.emit("", {"lines": shown})
        return
    found = False
    for line in wanted:
        found = True
        session.emit(printable(line), {})
    if queue_id and not found:
        _fail_unknown(queue_id)


@lab.command()
@_lab_options
@click.argument("world_host", metavar="[HOST]", required=False)
@click.argument("behaviour", type=click.Choice((*FAULTS, WELL)), required=False)
@click.pass_obj
def world(session: Session, name: str, world_host: str | None, behaviour: str | None) -> None:
    """Make a host of the outside world fail (down, defer, refuse), or well again; without arguments list them."""
    from mailctl.sandbox import Fault

    running = _open(session, name)
    if world_host and not behaviour:
        raise UsageError(f"how is {world_host!r} to behave?", hint=f"say one of {', '.join((*FAULTS, WELL))}")
    if world_host and behaviour:
        running.disturb(world_host.lower(), None if behaviour == WELL else Fault(behaviour))
    faults = running.faults()
    session.emit("\n".join(f"{each} {fault}" for each, fault in faults.items()), {"faults": dict(faults)})


@lab.command()
@_lab_options
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
    spec, checks, running = session.load_spec(), select_checks(split_names(only), fast=fast), _open(session, name)
    show_report(session, lambda announce: probe_sandbox(running, spec, checks, announce))


@lab.command(context_settings={"ignore_unknown_options": True})
@_lab_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def exec(session: Session, name: str, command: tuple[str, ...]) -> None:  # noqa: A001 - the name of the verb
    """Run a command inside the lab (`mailctl lab exec -- postqueue -p`), or a shell."""
    from mailctl.lab.places import become_inside

    become_inside(_open(session, name), command or ("bash",))


def _fail_unknown(queue_id: str) -> NoReturn:
    raise MailctlError(f"no line of the log names {queue_id!r}", hint="`mailctl lab log` shows all of it")


def printable_lines(text: str) -> str:
    """`text` made safe for a terminal, its line ends kept."""
    return "\n".join(map(printable, text.split("\n")))
