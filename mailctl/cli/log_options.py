"""The options of `log-report`: our own, and those of pflogsumm with pflogsumm's meaning."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import click

from mailctl import __version__
from mailctl.errors import UsageError
from mailctl.maillog.formats import DEFAULT_TOP, Format, Limits, Style
from mailctl.maillog.formats.nagios import Threshold

Function = TypeVar("Function", bound=Callable[..., Any])
Option = Callable[[Function], Function]

TAKEN = frozenset({"-f", "-q"})
"""Short names of global options; -q is pflogsumm's here, and a report needs no spec."""

DETAILS = {
    "bounce": "Reasons of bounces.",
    "deferral": "Reasons of deferrals.",
    "reject": "Reasons and replies of refusals.",
    "smtp": "Relays.",
    "smtpd-warning": "Warnings.",
}
"""Lists with a limit of their own, `--bounce-detail N`."""
SUPPRESSED = ("bounce", "deferral", "reject")
"""Those that `--no-bounce-detail` and so on leave out, pflogsumm's older spelling."""
ALWAYS_DONE = ("--iso-date-time", "--no-no-msg-size", "--zero-fill")
NOT_DONE = {
    "rej_add_from": "rejects are listed by reason, reply and client",
}

PFLOGSUMM_NAMES = frozenset(
    {"bounce-detail", "deferral-detail", "detail", "help", "ignore-case", "iso-date-time", "mailq", "no-bounce-detail"}
    | {"no-deferral-detail", "no-no-msg-size", "no-reject-detail", "no-smtpd-warnings", "problems-first"}
    | {"rej-add-from", "reject-detail", "smtp-detail", "smtpd-stats", "smtpd-warning-detail", "syslog-name"}
    | {"uucp-mung", "verbose-msg-detail", "verp-mung", "version", "zero-fill"}
)
"""Every long option of pflogsumm(1)."""

COUNT = click.IntRange(min=0)
PATH = click.Path(path_type=Path)


def own_options(function: Function) -> Function:
    """Options that pflogsumm does not have."""
    return _with(
        function,
        click.option(
            "--format", "format_", type=click.Choice([each.value for each in Format]), help="[text; json with --json]"
        ),
        click.option("-d", "--day", metavar="DAY", help="Only today, yesterday, or the day YYYY-MM-DD."),
        click.option("--since", metavar="TIME", help="From then on: YYYY-MM-DD[THH:MM[:SS]], or 90m, 12h, 7d ago."),
        click.option("--until", metavar="TIME", help="Before then; written like --since."),
        click.option("--tz", metavar="ZONE", help="Zone of stamps that do not name one, such as Europe/Berlin."),
        click.option("--journal", is_flag=True, help="Read the systemd journal."),
        click.option("--follow", is_flag=True, help="Go on reading, with a live screen; Ctrl-C ends it."),
        click.option("--state", type=PATH, metavar="FILE", help="Count each line once over many runs."),
        click.option("--textfile", type=PATH, metavar="DIR", help="Write DIR/mailctl_mail.prom; needs --state."),
        click.option("--unparsed", type=PATH, metavar="FILE", help="Write the lines that were not understood."),
        click.option("--anonymise", is_flag=True, help="Addresses, hosts and logins as stable hashes."),
        click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes [one a processor]."),
        click.option("--warning", multiple=True, metavar="NAME=RANGE", help="For nagios: deferred=100, delay_p95=60."),
        click.option("--critical", multiple=True, metavar="NAME=RANGE", help="For nagios; both may be given often."),
    )


def pflogsumm_options(function: Function) -> Function:
    """Options of pflogsumm(1), and --top. The function takes them as keywords and hands them to `style_of`."""
    return _with(
        function,
        click.option("--top", type=COUNT, metavar="N", help=f"Names in each list [{DEFAULT_TOP}]."),
        click.option("-h", type=COUNT, metavar="N", help="Names in lists of hosts and domains; 0 leaves them out."),
        click.option("-u", type=COUNT, metavar="N", help="Names in lists of users; 0 leaves them out."),
        click.option("--detail", type=COUNT, metavar="N", help="As --top; -h, -u and each --*-detail win over it."),
        *(click.option(f"--{name}-detail", type=COUNT, metavar="N", help=text) for name, text in DETAILS.items()),
        click.option("-q", is_flag=True, help="No headings for empty lists."),
        click.option("--problems-first", is_flag=True, help="Problems before totals."),
        click.option("--verbose-msg-detail", is_flag=True, help="Reasons in full, however long."),
        click.option("-i", "--ignore-case", is_flag=True, help="Addresses that differ in case only are one."),
        click.option("--verp-mung", type=int, help="Join VERP senders; 2 joins more."),
        click.option("--mailq", is_flag=True, help="Add the mail queue at the end."),
        *(click.option(f"--no-{name}-detail", is_flag=True, hidden=True) for name in SUPPRESSED),
        click.option("--no-smtpd-warnings", is_flag=True, hidden=True),
        *(click.option(name, is_flag=True, hidden=True, expose_value=False) for name in ALWAYS_DONE),
        click.option("-m", "--uucp-mung", is_flag=True, help="Undo what UUCP gateways did to addresses."),
        click.option("--smtpd-stats", is_flag=True, help="Add how long clients stay connected."),
        click.option("-e", is_flag=True, help="Add a few lines for each message, by sender."),
        click.option("--rej-add-from", is_flag=True, hidden=True),
        click.option(
            "--syslog-name", metavar="NAME", help="Only what Postfix logs as NAME or postfix; (A|B) names two."
        ),
        click.version_option(__version__, prog_name="mailctl log-report", message="%(prog)s %(version)s"),
    )


def _with(function: Function, *options: Option[Function]) -> Function:
    for option in reversed(options):
        function = option(function)
    return function


class ReportCommand(click.Command):
    """A command whose -h and -q are pflogsumm's."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.context_settings = {
            "help_option_names": ["--help"],
            # --problems_first was the spelling of --problems-first for years.
            "token_normalize_func": lambda name: name.replace("_", "-"),
        }
        for parameter in self.params:
            if len(parameter.opts) > 1:
                parameter.opts = [name for name in parameter.opts if name not in TAKEN]
        self._own_names = frozenset(name for parameter in self.params for name in parameter.opts)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = [self._in_full(arg) for arg in args]
        # The value of --verp-mung is optional, and what follows it is a value only if it is a number.
        for place, (name, following) in enumerate(zip_longest(args, args[1:], fillvalue="")):
            if name == "--verp-mung" and not following.isdigit():
                args[place] = "--verp-mung=1"
        return super().parse_args(ctx, args)

    def _in_full(self, arg: str) -> str:
        """pflogsumm takes capitals, and any beginning of a long name that begins no other, after one dash as well."""
        if arg.lower() in self._own_names:
            return arg if arg in self._own_names else arg.lower()
        given, equals, value = arg.partition("=")
        start = given.lstrip("-").replace("_", "-").lower()
        if not given.startswith("-") or len(start) < 2 or given in self._own_names:
            return arg
        found = [name for name in sorted(PFLOGSUMM_NAMES) if name.startswith(start)]
        if start in found or len(found) == 1:
            return f"--{start if start in found else found[0]}{equals}{value}"
        return arg


def style_of(values: Mapping[str, Any], width: int, color: bool) -> Style:
    """How the report looks, from the values of `pflogsumm_options`."""
    return Style(
        limits=_limits(values),
        width=width,
        color=color,
        problems_first=values["problems_first"],
        hides_empty=values["q"],
        is_verbose=values["verbose_msg_detail"],
    )


def _limits(values: Mapping[str, Any]) -> Limits:
    default = _first_given(values["detail"], values["top"], DEFAULT_TOP)
    suppressed = {name for name in DETAILS if values.get(f"no_{name}_detail")}
    if values["no_smtpd_warnings"]:
        suppressed.add("smtpd-warning")
    given = {name: values[f"{name.replace('-', '_')}_detail"] for name in DETAILS}
    details = {name: 0 if name in suppressed else _first_given(given[name], default) for name in DETAILS}
    return Limits(
        hosts=_first_given(values["h"], default),
        users=_first_given(values["u"], default),
        rejects=details["reject"],
        deferrals=details["deferral"],
        bounces=details["bounce"],
        warnings=details["smtpd-warning"],
        relays=details["smtp"],
    )


def _first_given(*counts: int | None) -> int:
    return next(count for count in counts if count is not None)


def notes_on(values: Mapping[str, Any]) -> list[str]:
    """What was asked for in pflogsumm's terms and is not done, with what is done instead."""
    return [f"--{name.replace('_', '-')} has no effect: {why}" for name, why in NOT_DONE.items() if values[name]]


def parse_thresholds(texts: Iterable[str], names: Collection[str]) -> dict[str, Threshold]:
    """`NAME=RANGE` of --warning and --critical.

    Raises:
        UsageError: the name is not measured, or the range is not one.
    """
    found = {}
    for text in texts:
        name, _, bounds = text.partition("=")
        if name not in names:
            raise UsageError(f"no number is called {name!r}", hint=f"choose from {', '.join(sorted(names))}")
        try:
            found[name] = Threshold.parse(bounds)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from error
    return found
