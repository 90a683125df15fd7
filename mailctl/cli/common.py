"""What every verb shares: the global options, and the session they make."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailctl.errors import MailctlError, NeedsRootError, Origin, Problem, SpecError, UsageError, printable

if TYPE_CHECKING:
    from mailctl.host import LocalHost
    from mailctl.spec.model import Spec
    from mailctl.target import Target

FORMAT_VERSION = "1"
COLORS = {"auto": None, "always": True, "never": False}

Function = TypeVar("Function", bound=Callable[..., Any])


class Session:
    """The global options of one run, and what follows from them."""

    def __init__(self) -> None:
        self.spec_file: Path | None = None
        self.host_name: str | None = None
        self.root = Path("/")
        self.color: bool | None = False if os.environ.get("NO_COLOR") else None
        self.json = False
        self.verbose = False
        self.quiet = False
        self.no_input = False
        self.yes = False
        self.is_decided = False  # what the verb was to do holds: whatever would stop it comes too late
        self._spec: Spec | None = None

    @property
    def host(self) -> LocalHost:
        """The machine, or the folder that stands for it under `--root`."""
        from mailctl.host import LocalHost

        return LocalHost(self.root.resolve())

    def find_spec(self) -> Path:
        """The spec file: `-f`, MAILCTL_SPEC, ./mailctl.yml, /etc/mailctl/mailctl.yml."""
        from mailctl.spec.find import find_spec

        return find_spec(self.spec_file)

    def load_spec(self) -> Spec:
        """The spec of this host: of a fleet the one `--host` names, else the one this machine is by its name.

        Raises:
            SpecError: with every problem found.
            UsageError: which host this is cannot be told.
        """
        from mailctl.spec.load import load_spec

        self._spec = load_spec(self.find_spec(), self.host_name, os.uname().nodename)
        return self._spec

    def require_trusted(self, files: Iterable[str | Path]) -> None:
        """Refuse to act as root on a spec, by the files it was read from, that somebody else could have written.

        Raises:
            SpecError: another user than root and the one behind sudo owns or can write a file of it, or a folder above.
        """
        from mailctl.spec.trust import trusted_users, untrusted

        if self.root != Path("/"):
            return
        if found := untrusted(map(Path, files), trusted_users()):
            raise SpecError(
                "somebody else than root could change what this spec says",
                hint="a spec, what it includes, its secrets and the folders above belong to root or to you",
                problems=found,
            )

    def target(self) -> Target:
        """Paths and versions of the host; Debian 12's where its programs cannot be asked."""
        from mailctl.components.detect import read_target

        found = read_target(self.host)
        for note in found.notes:
            self.say(f"note: {note}")
        return found.target

    def emit(self, text: str, data: Mapping[str, Any]) -> None:
        """Data on stdout: `text`, or `data` as one JSON object under `--json`."""
        if self.json:
            click.echo(json.dumps({"format_version": FORMAT_VERSION, **data}, indent=2))
        elif text:
            click.echo(text)

    def say(self, message: str) -> None:
        """A message on stderr, unless `-q`."""
        if not self.quiet:
            click.echo(message, err=True)

    def decide(self) -> None:
        """What the verb was to do holds now, and its exit code will say so."""
        self.is_decided = True

    def confirm(self, question: str) -> bool:
        """Ask on the terminal; `-y` answers yes, `--no-input` or no terminal is a usage error."""
        if self.yes:
            return True
        if self.no_input or not sys.stdin.isatty():
            raise UsageError("nobody is there to answer", hint="add -y to go on without a question")
        return click.confirm(question, err=True)

    def require_root(self, verb: str, *arguments: str) -> None:
        """Refuse early where the verb would write the live system as an ordinary user; `arguments` are for the hint."""
        if self.root == Path("/") and os.geteuid() != 0:
            raise NeedsRootError(
                f"{verb} changes the live system and needs root",
                hint=f"run it with sudo, or try `mailctl {' '.join((verb, *arguments))} --root DIR`",
            )

    def fail(self, error: MailctlError, suffix: str = "") -> None:
        """Print why the run ends: problems first, then the sentence, then the remedy."""
        if self.json:
            self.emit("", {"error": error.message, "diagnostics": [each.as_json() for each in _diagnostics(error)]})
            return
        for problem in self._with_excerpts(error.problems):
            self._write(str(problem))
        self.complain(printable(error.message) + suffix)
        if error.hint:
            self._write(f"    hint: {printable(error.hint)}")

    def complain(self, message: str) -> None:
        """What is wrong, on stderr, however quiet the run is to be."""
        self._write(f"{click.style('mailctl:', fg='red')} {message}")

    def _with_excerpts(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """What a component finds in the spec shows the line of the spec as well."""
        if self._spec is None:
            return problems
        from mailctl.spec.load import with_excerpts

        return with_excerpts(problems, self._spec)

    def _write(self, line: str) -> None:
        # The context of click, and the colour it knows, is gone when a run fails.
        click.echo(line, err=True, color=self.color)


def _diagnostics(error: MailctlError) -> tuple[Problem, ...]:
    return error.problems or (Problem(Origin(""), "", error.message, error.hint),)


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        # The same option may stand before and after the verb; only one that was given counts.
        if ctx.get_parameter_source(param.name or "") is not click.core.ParameterSource.DEFAULT:
            setattr(ctx.ensure_object(Session), name, value)

    return callback


def _set_color(ctx: click.Context, param: click.Parameter, value: str) -> None:
    session = ctx.ensure_object(Session)
    if ctx.get_parameter_source("color") is not click.core.ParameterSource.DEFAULT:
        session.color = COLORS[value]
    ctx.color = session.color


def _option(*names: str, setting: str, **attributes: Any) -> Callable[[Function], Function]:
    return click.option(*names, callback=_remember(setting), expose_value=False, **attributes)


OPTIONS = (
    _option(
        "-f",
        "--spec",
        setting="spec_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The spec [MAILCTL_SPEC, ./mailctl.yml, /etc/mailctl/mailctl.yml].",
    ),
    _option("--host", setting="host_name", metavar="NAME", help="Which of the spec's hosts this is [by its own name]."),
    _option(
        "--root",
        setting="root",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Work on files below DIR instead of the live system.",
    ),
    _option("--json", setting="json", is_flag=True, help="One JSON object on stdout."),
    _option("-v", "--verbose", setting="verbose", is_flag=True, help="Say more."),
    _option("-q", "--quiet", setting="quiet", is_flag=True, help="Say only what failed."),
    click.option(
        "--color",
        type=click.Choice(list(COLORS)),
        default="auto",
        callback=_set_color,
        expose_value=False,
        help="Colours [auto; NO_COLOR is honoured].",
    ),
    _option("--no-input", setting="no_input", is_flag=True, help="Never ask."),
    _option("-y", "--yes", setting="yes", is_flag=True, help="Answer yes to every question."),
    # Taken off the command line before click sees it; declared so that --help and completion know it.
    click.option("--lab", metavar="[=NAME]", expose_value=False, help="Run inside the lab's private server."),
)


def common_options(function: Function) -> Function:
    """Give a verb the global options; they work before the verb as well as after it."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function
