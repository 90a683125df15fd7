"""Family signing, from within: the signer is asked as smtpd asks it, and what it adds is verified; no message is sent.

Safe on a live server: all that remains are lines of the log about a message called PROBE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

from mailctl.dkim.keys import DkimKey, public_key_record, signed_domains
from mailctl.dkim.states import current_key
from mailctl.host import LocalHost
from mailctl.probe.arena import Arena, ServerSide
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Transcript
from mailctl.probe.families.signing import (
    MOST_DOMAINS,
    OWN_DOMAIN_REMEDY,
    REMEDY,
    require_no_signature_of,
    verify_signature,
)
from mailctl.probe.flow import letter
from mailctl.probe.milter import Header
from mailctl.probe.signer import LOOPBACK, SUBMITTED, ask_signer
from mailctl.spec.derive import signs, takes_logins
from mailctl.spec.model import Spec

ASKED_REMEDY = "run `mailctl apply`: smtpd_milters names the signer with default_action=tempfail, non_smtpd_milters too"
STRANGER = "192.0.2.77"  # RFC 5737
LOGIN_SERVICES = ("submission", "submissions")
SERVICES = ("smtp", *LOGIN_SERVICES)
SENDER_MACRO = "{mail_addr}"
WAITS = re.compile(r"default_action\s*=\s*tempfail\b")


def checks() -> tuple[Check, ...]:
    return (
        Check("signing.signer", "the signer signs each domain, and the key on disk verifies it", REMEDY, _each, True),
        Check("signing.signer-strangers", "the signer signs nothing for strangers", REMEDY, _strangers, True),
        Check(
            "signing.signer-own-domain",
            "the signer goes by the login's envelope sender, not by From",
            OWN_DOMAIN_REMEDY,
            _others,
            True,
        ),
        Check("signing.asked", "every way in asks the signer, and waits for it", ASKED_REMEDY, _ways_in, True),
    )


def _each(arena: Arena) -> Iterator[Attempt]:
    spec, server = _require_signer(arena)
    files = LocalHost(server.path(PurePosixPath("/")))
    for domain, record in signed_domains(spec):
        key = current_key(files, arena.target, domain, record.selector)
        yield Attempt(domain, partial(_verify, arena, server, files, key))


def _strangers(arena: Arena) -> Iterator[Attempt]:
    spec, server = _require_signer(arena)
    for domain, _ in signed_domains(spec):
        yield Attempt(domain, partial(_refuse, arena, server, domain))


def _others(arena: Arena) -> Iterator[Attempt]:
    spec, server = _require_signer(arena)
    domains = [domain for domain, _ in islice(signed_domains(spec), MOST_DOMAINS)]
    if len(spec.domains) < 2 or not takes_logins(spec):
        raise CannotTellError("no login has a signed domain beside its own")
    for domain in domains:
        sender = next(f"postmaster@{each}" for each in spec.domains if each != domain)
        yield Attempt(f"{sender} as {domain}", partial(_pretend, arena, server, sender, domain))
    for service in LOGIN_SERVICES:
        yield Attempt(service, partial(_names_sender, server, service))


def _ways_in(arena: Arena) -> Iterator[Attempt]:
    _, server = _require_signer(arena)
    yield Attempt("postconf", partial(_is_asked, arena, server))


def _require_signer(arena: Arena) -> tuple[Spec, ServerSide]:
    """The spec, and the server.

    Raises:
        CannotTellError: this is not made on the server itself, or nothing is signed there.
    """
    if arena.spec is None or arena.server is None:
        raise CannotTellError("made on the server itself only")
    if not signs(arena.spec):
        raise CannotTellError("the spec signs no domain")
    return arena.spec, arena.server


def _verify(arena: Arena, server: ServerSide, files: LocalHost, key: DkimKey, transcript: Transcript) -> None:
    message = letter(f"postmaster@{key.domain}", arena.subject.names["victim"]).content
    headers = _ask(arena, server, message, LOOPBACK, SUBMITTED, transcript)
    verify_signature(_with_headers(headers, message), key, public_key_record(files, key))


def _refuse(arena: Arena, server: ServerSide, domain: str, transcript: Transcript) -> None:
    message = letter(f"postmaster@{domain}", arena.subject.names["victim"]).content
    if _ask(arena, server, message, STRANGER, {}, transcript):
        raise RefutedError("a stranger's message was signed in our name")


def _pretend(arena: Arena, server: ServerSide, sender: str, domain: str, transcript: Transcript) -> None:
    message = letter(f"postmaster@{domain}", arena.subject.names["victim"]).content
    macros = SUBMITTED | {SENDER_MACRO: sender}
    headers = _ask(arena, server, message, LOOPBACK, macros, transcript)
    require_no_signature_of(domain, _with_headers(headers, message))


def _names_sender(server: ServerSide, service: str, transcript: Transcript) -> None:
    done = server.run(["postconf", "-Px", f"{service}/inet/milter_mail_macros"])
    line = " ".join(done.stdout.decode(errors="replace").split())
    transcript.append(f"-- {line}")
    if SENDER_MACRO not in line:
        raise RefutedError(f"{service} does not name the envelope sender to the signer")


def _with_headers(headers: Sequence[Header], message: bytes) -> bytes:
    added = "".join(f"{name}: {value}\n" for name, value in headers)
    return added.replace("\r\n", "\n").replace("\n", "\r\n").encode() + message


def _ask(
    arena: Arena, server: ServerSide, message: bytes, client: str, macros: Mapping[str, str], transcript: Transcript
) -> list[Header]:
    """What the signer adds to a message that comes from `client`."""
    transcript.append(f"-> a message from {client}{' of a login' if macros else ''} for {arena.target.opendkim_socket}")
    headers = ask_signer(server.path(arena.target.opendkim_socket), message, client, macros, arena.vantage.patience)
    transcript += [f"<- {name}: {' '.join(value.split())}" for name, value in headers] or ["<- no header"]
    return headers


def _is_asked(arena: Arena, server: ServerSide, transcript: Transcript) -> None:
    """For each service that takes mail, and for sendmail(1), which uses non_smtpd_milters."""
    for where, argv in _places():
        line = " ".join(server.run(argv).stdout.decode(errors="replace").split())
        if where in SERVICES and not line:
            continue  # nothing there differs from main.cf
        transcript.append(f"-- {line}")
        if str(arena.target.opendkim_socket) not in line:
            raise RefutedError(f"{where} does not ask the signer: {line!r}")
        if not WAITS.search(line):
            raise RefutedError(f"{where} does not wait for the signer: {line!r}")


def _places() -> Iterator[tuple[str, list[str]]]:
    for parameter in ("smtpd_milters", "non_smtpd_milters"):
        yield parameter, ["postconf", "-x", parameter]
    for service in SERVICES:
        yield service, ["postconf", "-Px", f"{service}/inet/smtpd_milters"]
