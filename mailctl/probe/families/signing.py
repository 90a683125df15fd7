"""Family signing: what leaves is signed and verifies against the key on disk; what others write is not signed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mailctl.dkim.keys import DkimKey, public_key_record
from mailctl.dkim.states import current_key
from mailctl.host import LocalHost
from mailctl.probe.arena import Arena
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Transcript
from mailctl.probe.flow import (
    hand_over,
    letter,
    require_inside,
    require_mailbox,
    sent_copies,
    sink_address,
    stored_copies,
)
from mailctl.spec.derive import hosts_mail, signs

REMEDY = (
    "is OpenDKIM running, and do KeyTable and SigningTable name the domain? `mailctl dns check` tells about the DNS"
)
SIGNATURE = b"DKIM-Signature:"


def checks() -> tuple[Check, ...]:
    return (
        Check("signing.leaves-signed", "mail of each signed domain leaves with a valid signature", REMEDY, _own, True),
        Check("signing.strangers", "mail of strangers gets no signature of ours", REMEDY, _foreign, True),
    )


def _own(arena: Arena) -> Iterator[Attempt]:
    spec, files = require_inside(arena)
    logins = {login.rpartition("@")[2]: login for login in arena.subject.passwords}
    keys = [
        current_key(files, arena.target, domain, record.dkim.selector)
        for domain, record in spec.domains.items()
        if record.dkim and domain in logins
    ]
    if not keys or not signs(spec):
        raise CannotTellError("no signed domain has a login")
    for key in keys:
        yield Attempt(key.domain, partial(_send_and_verify, arena, files, key, logins[key.domain]))


def _foreign(arena: Arena) -> Iterator[Attempt]:
    spec, _ = require_inside(arena)
    mailbox = require_mailbox(arena)
    if not hosts_mail(spec) or not signs(spec):
        raise CannotTellError("this server stores no mail, or signs none")
    yield Attempt("25 with a From of ours", partial(_forge, arena, mailbox))


def _send_and_verify(arena: Arena, files: LocalHost, key: DkimKey, login: str, transcript: Transcript) -> None:
    message = letter(login, sink_address())
    reply = hand_over(arena, transcript, message, login=login)
    if not reply.is_success:
        raise RefutedError(f"the message was answered {str(reply)!r}")
    if not arena.wait_until(lambda: bool(sent_copies(arena, message.token))):
        raise RefutedError("the message did not leave in time")
    verify_signature(sent_copies(arena, message.token)[0], key, public_key_record(files, key))


def verify_signature(content: bytes, key: DkimKey, record: str) -> None:
    """Return where the message is signed for the domain of `key` and verifies with `record`, RFC 6376 section 6.

    Raises:
        RefutedError: it is not, or does not.
        CannotTellError: the library that verifies is not there.
    """
    try:
        import dkim
    except ModuleNotFoundError as error:
        raise CannotTellError("dkimpy is not installed: pip install 'mailctl[dkim]'") from error

    verifier = dkim.DKIM(content)
    if not any(name.lower() == b"dkim-signature" for name, _ in verifier.headers):
        raise RefutedError("the message left unsigned")
    try:
        is_valid = verifier.verify(dnsfunc=lambda name, timeout=5: record.encode())
    except dkim.DKIMException as error:
        raise RefutedError(f"the signature is not valid: {error}") from error
    if not is_valid:
        raise RefutedError(f"the signature does not match the key {key.path}")
    if (verifier.domain or b"").decode() != key.domain:
        raise RefutedError(f"signed for {(verifier.domain or b'').decode()}, not for {key.domain}")


def _forge(arena: Arena, mailbox: str, transcript: Transcript) -> None:
    message = letter("", mailbox, header_from=mailbox)
    reply = hand_over(arena, transcript, message)
    if not reply.is_success:
        return
    if not arena.wait_until(lambda: bool(stored_copies(arena, message.token))):
        raise RefutedError("the message did not arrive in time")
    if SIGNATURE in stored_copies(arena, message.token)[0]:
        raise RefutedError("a stranger's message was signed in our name")
