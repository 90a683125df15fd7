"""`mailctl dns`: what the world must see in the DNS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.terminal import printable_lines
from mailctl.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    from mailctl.dns.changes import Changes
    from mailctl.dns.facts import Facts
    from mailctl.dns.resolve import Resolver
    from mailctl.dns.verdict import Verdict
    from mailctl.spec.model import Spec

STYLES = {"fail": "red", "warn": "yellow", "unknown": "magenta"}
MARGIN = 1.5  # seconds


@click.group()
def dns() -> None:
    """What the world must see in the DNS: the records to publish, and whether they are."""


@dns.command(short_help="Every record the spec wants published.")
@common_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "zone", "json", "octodns"]),
    default="table",
    show_default=True,
    help="A table to read, a zone file to include, JSON, or YAML for octoDNS.",
)
@click.argument("domain", required=False)
@click.pass_obj
def records(session: Session, format_: str, domain: str | None) -> None:
    """Every DNS record the spec implies, or those of one DOMAIN or host name. Asks nobody.

    DKIM records come from the keys on this machine, which root may read.
    """
    from mailctl.dns.formats import publication_json, render_octodns, render_table, render_zone
    from mailctl.dns.records import publication

    spec = session.load_spec()
    found = publication(spec, read_facts(session, spec))
    if domain:
        found = found.of_domain(_find(domain, dict.fromkeys(record.domain for record in found.records)))
    if session.json or format_ == "json":
        session.json = True
        session.emit("", publication_json(found))
        return
    render = {"table": render_table, "zone": render_zone, "octodns": render_octodns}[format_]
    session.emit(printable_lines(render(found)), {})


def _find(domain: str, known: Iterable[str]) -> str:
    """The domain or server of the spec that is meant."""
    from mailctl.spec.hints import did_you_mean
    from mailctl.spec.values.domains import parse_domain

    try:
        name = parse_domain(domain)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if name not in known:
        hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
        raise UsageError(f"the spec has no domain or server {domain!r}", hint=hint)
    return name


def read_facts(session: Session, spec: Spec) -> Facts:
    """What records depend on besides the spec."""
    from mailctl.components.tls_files import certificate_paths
    from mailctl.dns.facts import read_facts
    from mailctl.spec.load import load_servers

    target = session.target()
    servers = load_servers(session.find_spec()) if spec.hosts else ()
    return read_facts(session.host, spec, target, certificate_paths(spec, target).certificate, servers)


@dns.command(short_help="What is published, where it differs, and what to publish instead.")
@common_options
@click.option("--nameserver", metavar="ADDRESS[@PORT]", help="Ask this DNS server [/etc/resolv.conf].")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=600),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take in all; what is not answered by then is unknown.",
)
@click.option("--changes-only", is_flag=True, help="Print only what differs from the last run with this option.")
@click.option("--nagios", is_flag=True, help="One line and the exit status of a monitoring plugin.")
@click.pass_obj
def check(session: Session, nameserver: str | None, timeout: float, changes_only: bool, nagios: bool) -> int:
    """Compare what is published with what the spec wants: verdict, why it matters, the record to publish.

    Every domain and server of the spec, at the same time. Asks the DNS only; nothing is changed.
    Exit code 1 where something fails. As root it compares DKIM keys and the certificate too.
    """
    import time

    from mailctl.dns.changes import take_changes
    from mailctl.dns.check import check_domains
    from mailctl.dns.report import count_levels, render_nagios, report_json
    from mailctl.dns.verdict import Level

    started = time.monotonic()
    spec = session.load_spec()
    facts = read_facts(session, spec)
    for note in facts.notes:
        session.say(f"note: {note}")
    verdicts = check_domains(spec, facts, _resolver(nameserver, timeout - (time.monotonic() - started)))
    subjects = [*spec.domains, *(server.hostname for server in facts.servers)]
    changes = take_changes(session.host, session.target(), verdicts) if changes_only else None
    if nagios:
        line, status = render_nagios(subjects, verdicts)
        click.echo(printable(line))
        return status
    if session.json:
        session.emit("", report_json(subjects, verdicts, changes))
    else:
        _show(session, subjects, verdicts, changes)
    return ExitCode.FAILED if count_levels(verdicts)[Level.FAIL] else ExitCode.OK


def _show(session: Session, subjects: list[str], verdicts: tuple[Verdict, ...], changes: Changes | None) -> None:
    from mailctl.dns.report import render_totals, render_verdict

    shown = verdicts if changes is None else changes.appeared
    for verdict in shown:
        head, *rest = map(printable, render_verdict(verdict))
        level = head.partition(" ")[0]
        click.echo(click.style(level, fg=STYLES[verdict.level.value]) + head[len(level) :])
        click.echo("\n".join(rest))
    for domain, code, _ in changes.gone if changes else ():
        click.echo(f"{click.style('gone', fg='green')}    {domain}  {code}")
    if not session.quiet and (changes is None or changes):
        click.echo(render_totals(subjects, verdicts))


def _resolver(nameserver: str | None, seconds: float) -> Resolver:
    """Asks the server that is named, else the system's. Some time is left for the report."""
    from mailctl.cli.nameserver import make_resolver

    return make_resolver(nameserver, max(seconds - MARGIN, 0.5))
