"""The command line: parse, call, print. One module per verb; this one only finds them and ends the process."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import NoReturn

import click

from mailctl import __version__
from mailctl.apply.signals import STOPPING
from mailctl.cli.common import Session, common_options
from mailctl.cli.verbs import SECTIONS, VERBS
from mailctl.errors import ExitCode, MailctlError

LAB_OPTION = "--lab"
DEFAULT_LAB = "lab"


class VerbGroup(click.Group):
    """Imports the module of a verb only when that verb runs, so that start-up stays cheap."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"mailctl.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise click.UsageError(f"no such command: {args[0]!r}{_did_you_mean(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mailctl", message="%(prog)s %(version)s")
@common_options
def mailctl() -> None:
    """One YAML spec becomes a running, signed, proved mail server.

    Start with `mailctl init`, read `mailctl plan`, then run `mailctl apply`.
    """


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit with the code of DESIGN: every failure is a sentence, never a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    session = Session()
    try:
        code = _run(arguments, session)
        if code == ExitCode.INTERRUPTED:
            # Not sys.exit: where Ctrl-C hits code made from text, as imports of dataclasses do, `python -m` forgets
            # the exit code and dies of the signal, however well that was handled.
            sys.stdout.flush()
            os._exit(code)
        sys.exit(code)
    except BrokenPipeError:
        # The reader went away (`mailctl plan | head`): point stdout elsewhere so that the flush at exit stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)


def _run(arguments: list[str], session: Session) -> int:
    try:
        _hear_signals(session)
        lab, arguments = _take_lab_option(arguments)
        if lab is not None:
            return _run_inside(lab, arguments, session)
        result = mailctl.main(arguments, prog_name="mailctl", standalone_mode=False, obj=session)
        return result if isinstance(result, int) else ExitCode.OK
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return ExitCode.USAGE
    except click.UsageError as error:
        # Options after the mistake were not read.
        session.json = session.json or "--json" in arguments
        usage = f"\n{error.ctx.get_usage()}" if error.ctx else ""
        session.fail(MailctlError(error.format_message()), suffix=usage)
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        session.fail(MailctlError("interrupted"))
        return ExitCode.INTERRUPTED
    except MailctlError as error:
        session.fail(error)
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        hint = "run it with sudo, or name a place you may use" if isinstance(error, PermissionError) else ""
        session.fail(MailctlError(f"{name}{error.strerror or error}", hint))
        return ExitCode.FAILED
    except Exception as error:
        if session.verbose:
            import traceback

            traceback.print_exc()
        hint = "this is a fault of mailctl: run it again with -v and report what it prints"
        session.fail(MailctlError(f"unexpected {type(error).__name__}: {error}", hint=hint))
        return ExitCode.FAILED


def _run_inside(lab: str, arguments: list[str], session: Session) -> int:
    from mailctl.lab import enter

    session.json = "--json" in arguments
    return enter(lab, arguments)


def _take_lab_option(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The lab named by `--lab` or `--lab=NAME`, and the arguments without it."""
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == LAB_OPTION or argument.startswith(f"{LAB_OPTION}="):
            rest = arguments[:position] + arguments[position + 1 :]
            return argument.partition("=")[2] or DEFAULT_LAB, rest
    return None, arguments


def _did_you_mean(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, VERBS, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _hear_signals(session: Session) -> None:
    for each in STOPPING:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, partial(_interrupt, session))


def _interrupt(session: Session, number: int, frame: FrameType | None) -> None:
    if session.is_decided:
        return
    # Only the first is heard: what a verb undoes for it, whichever it was, is not to be interrupted again.
    for each in STOPPING:
        if isinstance(signal.getsignal(each), partial):
            signal.signal(each, lambda *_: None)
    raise KeyboardInterrupt
