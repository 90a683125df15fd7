"""mailctl hash: a password hash for a mailbox."""

from __future__ import annotations

import sys

import click

from mailctl.cli.ask import ask_new_password
from mailctl.cli.common import Session, common_options
from mailctl.errors import UsageError

LONGEST_INPUT = 4096


@click.command("hash")
@click.option("--scheme", default="ARGON2ID", show_default=True, metavar="SCHEME", help="A scheme of doveadm-pw(1).")
@common_options
@click.pass_obj
def hash(session: Session, scheme: str) -> None:  # noqa: A001 - named like its verb
    """Make a password hash for a mailbox, for `hash:` in the spec or for the file that `file:` names.

    Asks for the password twice, or reads one line from stdin where that is no terminal.
    """
    from mailctl.spec.hash import Scheme, hash_password

    if scheme.upper() not in list(Scheme):
        raise UsageError(f"{scheme!r} is not a scheme mailctl makes", hint=f"choose {', '.join(Scheme)}")
    found = hash_password(session.host, _read_password(session), Scheme(scheme.upper()))
    session.emit(found, {"hash": found})


def _read_password(session: Session) -> str:
    if sys.stdin.isatty() and not session.no_input:
        return ask_new_password(session, "write it to standard input")
    line = sys.stdin.buffer.readline(LONGEST_INPUT)
    return line.decode(errors="surrogateescape").rstrip("\r\n")
