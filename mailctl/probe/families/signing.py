"""Family signing: what leaves is signed and verifies against the key on disk; what others write is not signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from mailctl.dkim.keys import DkimKey, public_key_record, signed_domains
from mailctl.dkim.public_key import KeyAnswer
from mailctl.dkim.signature import Signature, Verdict
from mailctl.dkim.states import current_key
from mailctl.dkim.verify import verify_message
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
MOST_DOMAINS = 3  # what is tried once for all: the signer's settings know no domain by name
OWN_DOMAIN_REMEDY = (
    "run `mailctl apply`: SenderMacro {mail_addr} in opendkim.conf, and milter_mail_macros that name the envelope "
    "sender to the signer from submission alone"
)


def checks() -> tuple[Check, ...]:
    return (
        Check("signing.leaves-signed", "mail of each signed domain leaves with a valid signature", REMEDY, _own, True),
        Check(
            "signing.own-domain",
            "a login gets no signature of another domain, whatever its From says",
            OWN_DOMAIN_REMEDY,
            _others,
            True,
        ),
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


def _others(arena: Arena) -> Iterator[Attempt]:
    spec, _ = require_inside(arena)
    pairs = [
        (login, domain)
        for domain, _ in islice(signed_domains(spec), MOST_DOMAINS)
        for login in islice(_logins_beside(arena, domain), 1)
    ]
    if not pairs or not signs(spec):
        raise CannotTellError("no login has a signed domain beside its own")
    for login, domain in pairs:
        yield Attempt(f"{login} as {domain}", partial(_pretend, arena, login, domain))


def _logins_beside(arena: Arena, domain: str) -> Iterator[str]:
    return (login for login in arena.subject.passwords if login.rpartition("@")[2] != domain)


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


def _pretend(arena: Arena, login: str, domain: str, transcript: Transcript) -> None:
    message = letter(login, sink_address(), header_from=f"postmaster@{domain}")
    reply = hand_over(arena, transcript, message, login=login)
    if not reply.is_success:
        return
    if not arena.wait_until(lambda: bool(sent_copies(arena, message.token))):
        raise RefutedError("not proved: the message did not leave in time")
    require_no_signature_of(domain, sent_copies(arena, message.token)[0])


def verify_signature(content: bytes, key: DkimKey, record: str) -> None:
    """Return where the one signature of the message is that of `key` and verifies with `record`, RFC 6376 section 6.

    Raises:
        RefutedError: it is not, or does not.
        UnfitError: the library that verifies is not there.
    """
    signatures = _signatures(content, record)
    if not signatures:
        raise RefutedError("the message left unsigned")
    signature = signatures[0]
    if signature.domain != key.domain:
        raise RefutedError(f"signed for {signature.domain}, not for {key.domain}")
    if signature.verdict is not Verdict.PASS:
        raise RefutedError(f"the signature with {key.path} is not valid: {signature.reason}")


def require_no_signature_of(domain: str, content: bytes) -> None:
    """Raises RefutedError where one of the signatures is in the name of `domain`, valid or not."""
    if domain in {signature.domain for signature in _signatures(content)}:
        raise RefutedError(f"a login of another domain got a signature of {domain}")


def _signatures(content: bytes, record: str = "") -> tuple[Signature, ...]:
    return verify_message(content, lambda name: KeyAnswer(record), datetime.now(UTC), str).signatures


def _forge(arena: Arena, mailbox: str, transcript: Transcript) -> None:
    message = letter("", mailbox, header_from=mailbox)
    reply = hand_over(arena, transcript, message)
    if not reply.is_success:
        return
    if not arena.wait_until(lambda: bool(stored_copies(arena, message.token))):
        raise RefutedError("the message did not arrive in time")
    if SIGNATURE in stored_copies(arena, message.token)[0]:
        raise RefutedError("a stranger's message was signed in our name")
