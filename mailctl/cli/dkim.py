"""mailctl dkim: signing keys, from their making to their end, and the signatures of a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mailctl.cli.common import Session, common_options
from mailctl.cli.history import require_reader
from mailctl.errors import ExitCode, MailctlError, UsageError

if TYPE_CHECKING:
    from mailctl.dkim.arc import Arc
    from mailctl.dkim.public_key import KeyAnswer
    from mailctl.dkim.signature import Signature, Verification
    from mailctl.spec.model import Spec

LONGEST_ROTATE = 60.0  # seconds for all domains
COLORS = {"pass": "green", "fail": "red", "temperror": "yellow", "permerror": "red"}


@click.group()
def dkim() -> None:
    """Signing keys and signatures."""


NAMESERVER = click.option("--nameserver", metavar="ADDRESS[@PORT]", help="Ask this DNS server [/etc/resolv.conf].")


@dkim.command()
@common_options
@click.argument("domain")
@click.option("--selector", metavar="NAME", help="Its selector [after the year: s2026b].")
@click.option("--bits", type=click.IntRange(2048, 4096), help="Its length [as the spec says].")
@click.pass_obj
def keygen(session: Session, domain: str, selector: str | None, bits: int | None) -> None:
    """Make a new key for DOMAIN and print the record to publish. It does not sign yet: `mailctl dkim rotate` goes on,
    an apply for the first one.

    A new key that waits already is shown again.
    """
    from mailctl.apply.rotate import generate
    from mailctl.cli.dkim_text import show_records
    from mailctl.spec.values.domains import parse_selector

    session.require_root("dkim keygen", domain)
    try:
        name = parse_selector(selector) if selector else ""
    except ValueError as error:
        raise UsageError(str(error)) from error
    spec, target = trusted_spec(session), session.target()
    made = generate(session.host, target, spec, domain, now(), name, bits or 0)
    is_first = made.key.selector == signing_selector(spec, domain)
    session.say(f"Publish this record, then run `mailctl {'apply' if is_first else f'dkim rotate {domain}'}`:")
    show_records(session, [made])


@dkim.command()
@common_options
@click.argument("domain", required=False)
@click.pass_obj
def show(session: Session, domain: str | None) -> None:
    """The record to publish for every key, or those of DOMAIN, as zone files take it."""
    from mailctl.cli.dkim_text import show_records
    from mailctl.dkim.states import list_keys

    require_reader(session, "dkim show")
    found = list_keys(session.host, session.target())
    if domain and domain not in {state.key.domain for state in found}:
        known = ", ".join(dict.fromkeys(state.key.domain for state in found)) or "none"
        raise UsageError(f"there is no key of {domain!r}", hint=f"domains with keys: {known}")
    show_records(session, [state for state in found if domain in (None, state.key.domain)])


@dkim.command()
@common_options
@click.pass_obj
def status(session: Session) -> None:
    """Every signed domain: its keys, how old they are, and the next step. Asks no DNS."""
    from mailctl.cli.dkim_text import show_status

    require_reader(session, "dkim status")
    show_status(session, session.load_spec(), session.target(), now())


@dkim.command()
@common_options
@click.argument("domain", required=False)
@click.option(
    "--auto", is_flag=True, help="For a timer: all domains; a new key only when `rotate` of the spec says so."
)
@NAMESERVER
@click.pass_obj
def rotate(session: Session, domain: str | None, auto: bool, nameserver: str | None) -> int:
    """Move the keys of DOMAIN on by one step; run it again for the next.

    Makes a key; signs with it once every server of the zone shows its record; retires the old one a week later, when
    no mail in flight needs it; deletes it once the DNS no longer shows it. Exits with 1 where the DNS does not show
    what the step needs; under --auto only where something failed.
    """
    from functools import partial

    from mailctl.apply.keys import World
    from mailctl.apply.rotate import rotate as turn
    from mailctl.apply.rotate import rotate_all
    from mailctl.cli.dkim_text import show_rotations
    from mailctl.cli.nameserver import make_resolver
    from mailctl.dns.public_key import find_sightings
    from mailctl.probe.signer import selector_in_use

    if (domain is None) != auto:
        raise UsageError("name a domain, or add --auto for all of them")
    session.require_root("dkim rotate", domain or "--auto")
    spec, target = trusted_spec(session), session.target()
    look = partial(find_sightings, make_resolver(nameserver, within=LONGEST_ROTATE))
    world = World(look, partial(selector_in_use, session.host, target))
    if domain is not None:
        done = turn(session.host, target, spec, domain, now(), world, auto=False)
        show_rotations(session, [done])
        return ExitCode.FAILED if done.is_stuck else ExitCode.OK
    moved, problems = rotate_all(session.host, target, spec, now(), world)
    show_rotations(session, [each.without_dates() for each in moved])
    if problems:
        raise MailctlError("not every domain could be looked after", problems=problems)
    return ExitCode.OK


@dkim.command()
@common_options
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Take this public key for every signature (a record, a zone file line, or PEM); no DNS is asked.",
)
@NAMESERVER
@click.pass_obj
def verify(session: Session, file: BinaryIO, key_file: Path | None, nameserver: str | None) -> int:
    """Verify every signature of the message in FILE, or on stdin for `-`.

    Says for each who signed, whether the body is what was signed, whether the domain is the author's, and what is
    wrong otherwise; a signature that expired is none. Exits with 1 where no signature verifies.
    """
    from mailctl.dkim.arc import verify_arc
    from mailctl.dkim.message import LARGEST_MESSAGE
    from mailctl.dkim.verify import verify_message
    from mailctl.dns.suffix import organisational_domain

    find_key = _key_finder(key_file, nameserver)
    content = file.read(LARGEST_MESSAGE + 1)
    found = verify_message(content, find_key, now(), organisational_domain)
    arc = verify_arc(content, find_key)
    session.emit("\n".join(_lines(found, arc)), _as_json(found, arc))
    return ExitCode.OK if found.is_verified else ExitCode.FAILED


def trusted_spec(session: Session) -> Spec:
    """The spec, which nobody but root could have written."""
    from mailctl.spec.trust import spec_files

    spec = session.load_spec()
    session.require_trusted(spec_files(spec))
    return spec


def signing_selector(spec: Spec, domain: str) -> str:
    """The selector an apply signs with, as long as none replaced it."""
    dkim = spec.domains[domain].dkim
    return dkim.selector if dkim else ""


def now() -> datetime:
    return datetime.now(UTC)


def _key_finder(key_file: Path | None, nameserver: str | None) -> Callable[[str], KeyAnswer]:
    from mailctl.dkim.public_key import KeyAnswer, record_in

    if key_file and nameserver:
        raise UsageError("--key-file asks no DNS server", hint="leave out --nameserver, or --key-file")
    if key_file:
        try:
            record = record_in(key_file.read_bytes().decode("utf-8", "replace"))
        except MailctlError as error:
            raise UsageError(f"{key_file}: {error.message}", error.hint) from error
        return lambda name: KeyAnswer(record)
    from mailctl.cli.nameserver import make_resolver
    from mailctl.dns.public_key import find_public_key

    resolver = make_resolver(nameserver)
    return lambda name: find_public_key(resolver, name)


def _lines(found: Verification, arc: Arc | None) -> Iterator[str]:
    from mailctl.dkim.signature import problems_of

    for signature in found.signatures:
        yield from _signature_lines(signature, found.authors)
    yield from problems_of(found)
    if arc:
        chain = f", sealed by {', '.join(arc.sealed_by)}" if arc.sealed_by else ""
        yield f"ARC chain: {arc.verdict}{chain}{f': {arc.reason}' if arc.reason else ''}"


def _signature_lines(signature: Signature, authors: tuple[str, ...]) -> Iterator[str]:
    verdict = click.style(f"{signature.verdict:<9}", fg=COLORS[signature.verdict])
    bits = f", {signature.bits} bits" if signature.bits else ""
    yield (
        f"{signature.number}  {verdict} {signature.domain or '?'}  selector {signature.selector or '?'}"
        f"  {signature.algorithm} {signature.canonicalization}{bits}"
    )
    if signature.reason:
        yield f"   {signature.reason}"
    author = ", ".join(authors) or "nobody"
    yield f"   body hash: {signature.body_hash}; alignment with From ({author}): {signature.alignment}"
    times = [
        f"{word} {moment:%Y-%m-%d %H:%M} UTC"
        for word, moment in (("signed", signature.signed), ("expires", signature.expires))
        if moment
    ]
    if times:
        yield f"   {', '.join(times)}"
    for note in signature.notes:
        yield f"   note: {note}"


def _as_json(found: Verification, arc: Arc | None) -> dict[str, Any]:
    from mailctl.dkim.signature import problems_of

    return {
        "verified": found.is_verified,
        "from": list(found.authors),
        "signatures": [_signature_as_json(signature) for signature in found.signatures],
        "unread": found.unread,
        "arc": arc.as_json() if arc else None,
        "problems": list(problems_of(found)),
    }


def _signature_as_json(signature: Signature) -> dict[str, Any]:
    from dataclasses import asdict

    moments = {"signed": signature.signed, "expires": signature.expires}
    return {**asdict(signature), **{name: each.isoformat() if each else None for name, each in moments.items()}}
