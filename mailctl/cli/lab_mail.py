"""`mailctl lab send`, `read` and `sent`: mail into a lab, in its mailboxes, and out of it."""

from __future__ import annotations

from pathlib import Path

import click

from mailctl.cli.common import Session
from mailctl.cli.lab_options import lab_options, open_lab
from mailctl.cli.probe import read_password
from mailctl.cli.terminal import printable_lines
from mailctl.errors import ExitCode

PORTS = ("25", "587", "465")


@click.command()
@lab_options
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
    from mailctl.lab.places import lab_command

    running = open_lab(session, name)
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
        log = lab_command(running, f"log --id {outcome.queue_id}")
        session.say(f"the message is still in the queue: {log} says why")
        raise SystemExit(ExitCode.FAILED)


@click.command()
@lab_options
@click.argument("login")
@click.option("--password-file", type=click.Path(path_type=Path), help="Read the password from a file.")
@click.option("--folder", default="INBOX", show_default=True)
@click.pass_obj
def read(session: Session, name: str, login: str, password_file: Path | None, folder: str) -> None:
    """Print the newest message of a mailbox, fetched over IMAPS; exit code 1 when there is none."""
    from mailctl.lab.mail import read_newest

    message = read_newest(open_lab(session, name), login, read_password(session, login, password_file), folder)
    if message is None:
        session.say(f"{folder} of {login} is empty")
        raise SystemExit(ExitCode.FAILED)
    text = message.decode(errors="replace").replace("\r\n", "\n")
    session.emit(printable_lines(text), {"login": login, "folder": folder, "message": text})


@click.command()
@lab_options
@click.option("--to", "recipient", default="", metavar="ADDRESS", help="The newest for this recipient.")
@click.option("--verify", is_flag=True, help="Verify its DKIM signature; exit code 1 where it does not hold.")
@click.pass_obj
def sent(session: Session, name: str, recipient: str, verify: bool) -> None:
    """Print the newest message that left: which way, with which login, its headers."""
    from mailctl.lab.sent import read_sent

    found = read_sent(open_lab(session, name), recipient, verify=verify)
    if found is None:
        session.say(f"no message has left{f' for {recipient}' if recipient else ''} yet")
        raise SystemExit(ExitCode.FAILED)
    session.emit(printable_lines(str(found)), found.as_json())
    if verify and not found.is_valid:
        raise SystemExit(ExitCode.FAILED)
