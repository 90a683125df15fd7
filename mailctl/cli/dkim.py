"""mailctl dkim: signing keys, from their making to their end, and the signatures of a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mailctl.cli.common import Session, common_options
from mailctl.errors import ExitCode, MailctlError, UsageError

if TYPE_CHECKING:
    from mailctl.dkim.arc import Arc
    from mailctl.dkim.public_key import KeyAnswer
    from mailctl.dkim.verify import Signature, Verification

COLORS = {"pass": "green", "fail": "red", "temperror": "yellow", "permerror": "red"}


@click.group()
def dkim() -> None:
    """Signing keys and signatures."""


@dkim.command()
@common_options
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Take this public key for every signature (a record, a zone file line, or PEM); no DNS is asked.",
)
@click.option("--nameserver", metavar="ADDRESS", help="Ask this DNS server instead of the system's.")
@click.pass_obj
def verify(session: Session, file: BinaryIO, key_file: Path | None, nameserver: str | None) -> int:
    """Verify every signature of the message in FILE, or on stdin for `-`.

    Says for each who signed, whether the body is what was signed, whether the domain is the author's, and what is
    wrong otherwise; a signature that expired is none. Exits with 1 where no signature verifies.
    """
    from datetime import UTC, datetime

    from mailctl.dkim.arc import verify_arc
    from mailctl.dkim.message import LARGEST_MESSAGE
    from mailctl.dkim.verify import verify_message

    find_key = _key_finder(key_file, nameserver)
    content = file.read(LARGEST_MESSAGE + 1)
    found = verify_message(content, find_key, datetime.now(UTC))
    arc = verify_arc(content, find_key)
    session.emit("\n".join(_lines(found, arc)), _as_json(found, arc))
    return ExitCode.OK if found.is_verified else ExitCode.FAILED


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
    from mailctl.dkim.verify import problems_of

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
    from mailctl.dkim.verify import problems_of

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
