"""Questions on the terminal, and what becomes of them where nobody is there."""

from __future__ import annotations

import getpass
import warnings
from collections.abc import Callable

import click

from mailctl.cli.common import Session
from mailctl.errors import UsageError, printable


def ask(
    session: Session,
    question: str,
    hint: str,
    *,
    default: str | None = None,
    parse: Callable[[str], str] = str,
    hidden: bool = False,
) -> str:
    """The answer, asked for again while `parse` raises ValueError.

    Args:
        hint: how to give the answer without a terminal.

    Raises:
        UsageError: nobody answers.
    """
    while True:
        answer = _prompt(question, hint, default, hidden)
        try:
            return parse(answer)
        except ValueError as error:
            session.complain(printable(str(error)))


def ask_new_password(session: Session, hint: str) -> str:
    """A password, typed twice.

    Raises: as ask does.
    """
    while True:
        first = ask(session, "Password", hint, hidden=True)
        if first == ask(session, "Again", hint, hidden=True):
            return first
        session.complain("the two are not the same; once more")


def _prompt(question: str, hint: str, default: str | None, hidden: bool) -> str:
    nobody = UsageError(f"nobody is there to answer: {question}", hint)
    try:
        with warnings.catch_warnings():
            # Without a terminal getpass would warn, and then show what is typed.
            warnings.simplefilter("error", getpass.GetPassWarning)
            answer: str = click.prompt(question, default=default, hide_input=hidden, err=True)
            return answer
    except getpass.GetPassWarning as error:
        raise nobody from error
    except click.Abort as error:
        # Ctrl-C is one too, and the end of the input is not Ctrl-C.
        if isinstance(error.__context__, EOFError):
            raise nobody from error
        raise
