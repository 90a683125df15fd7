"""Family tls: versions, curves, hashes, compression, STARTTLS injection; cipher suites are in ciphers.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mailctl.probe.arena import ANY_CERTIFICATE, Arena, Transport, expect
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.cipher_suites import ALL_1_2, TLS_1_3
from mailctl.probe.dialogue import Transcript
from mailctl.probe.handshake import SHA1_SIGNATURES, Agreement, Offer, TlsVersion, negotiate
from mailctl.spec.choices import TlsProfile

ENCRYPTED = (Transport.SMTP_TLS, Transport.SUBMISSION_TLS, Transport.SUBMISSIONS, Transport.IMAPS)
WITH_PASSWORDS = (Transport.SUBMISSION_TLS, Transport.SUBMISSIONS, Transport.IMAPS)
STARTTLS = (Transport.SMTP_TLS, Transport.SUBMISSION_TLS)
OLDEST = {
    TlsProfile.MODERN: TlsVersion.TLS_1_3,
    TlsProfile.INTERMEDIATE: TlsVersion.TLS_1_2,
    TlsProfile.OLD: TlsVersion.TLS_1_0,
}
# secp160k1 to secp224r1, and the curves over binary fields; RFC 4492, none of them in RFC 8422.
WEAK_GROUPS = (15, 16, 17, 18, 19, 20, 21, 1, 2, 3, 4, 5)
# Strong ones that are not of Mozilla's profile: secp521r1, three brainpool curves, X448.
UNUSUAL_GROUPS = (25, 26, 27, 28, 30)
SECP256R1 = 23
VERSIONS_REMEDY = "tls.profile of the spec; smtpd_tls_protocols, ssl_min_protocol"
SUITES_REMEDY = "tls.profile of the spec; smtpd_tls_mandatory_ciphers and tls_high_cipherlist, ssl_cipher_list"
HASH_REMEDY = "@SECLEVEL=2 at the end of tls_high_cipherlist, tls_medium_cipherlist and ssl_cipher_list"
OPTIONS_REMEDY = "tls_ssl_options = NO_COMPRESSION, NO_RENEGOTIATION"


def checks() -> tuple[Check, ...]:
    return (
        Check("tls.versions", "old versions of TLS are refused, current ones are spoken", VERSIONS_REMEDY, _versions),
        Check(
            "tls.curves",
            "small curves are refused, and where passwords are sent all but Mozilla's",
            SUITES_REMEDY,
            partial(on_each_port, _curves),
        ),
        Check("tls.hash", "no key exchange is signed with SHA-1", HASH_REMEDY, partial(on_each_port, _hash)),
        Check(
            "tls.master-secret",
            "keys are bound to their handshake, RFC 7627",
            "update OpenSSL; tls_ssl_options without 0x1",
            partial(on_each_port, _master_secret),
        ),
        Check("tls.compression", "TLS compression is not used", OPTIONS_REMEDY, partial(on_each_port, _compression)),
        Check(
            "tls.injection",
            "what is sent in clear after STARTTLS is forgotten",
            "update Postfix; smtpd_forbid_unauth_pipelining = yes",
            _injection,
            is_fast=True,
        ),
    )


def open_transports(arena: Arena, wanted: Sequence[Transport]) -> list[Transport]:
    """Those of `wanted` that can be reached over IPv4.

    Raises:
        CannotTellError: none can.
    """
    found = [transport for transport in wanted if arena.is_open(transport, arena.families[0])]
    if not found:
        raise CannotTellError("no port with TLS is open")
    return found


def _versions(arena: Arena) -> Iterator[Attempt]:
    oldest = OLDEST[tls_profile(arena)]
    for transport in open_transports(arena, ENCRYPTED):
        for version in TlsVersion:
            where = f"{transport.value} {version.label}"
            yield Attempt(where, partial(_version, arena, transport, version, version >= oldest))


def tls_profile(arena: Arena) -> TlsProfile:
    return arena.spec.tls.profile if arena.spec else TlsProfile.INTERMEDIATE


def _version(arena: Arena, transport: Transport, version: TlsVersion, is_wanted: bool, transcript: Transcript) -> None:
    suites = TLS_1_3 if version is TlsVersion.TLS_1_3 else ALL_1_2
    found = reach_agreement(arena, transcript, transport, Offer(version, tuple(suites)))
    speaks = found is not None and found.version == version
    if is_wanted and not speaks and version >= TlsVersion.TLS_1_2:
        raise RefutedError(f"{version.label} is not spoken")
    if speaks and not is_wanted:
        raise RefutedError(f"{version.label} is spoken")


def on_each_port(attempt: Callable[[Arena, Transport, Transcript], None], arena: Arena) -> Iterator[Attempt]:
    """One attempt for each port with TLS."""
    for transport in open_transports(arena, ENCRYPTED):
        yield Attempt(transport.value, partial(attempt, arena, transport))


def _curves(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    """One good curve is offered last: without it a server could not even use a certificate with a curve."""
    suites = [number for number, name in ALL_1_2.items() if name.startswith("ECDHE")]
    refused = WEAK_GROUPS + (UNUSUAL_GROUPS if transport in WITH_PASSWORDS else ())
    offer = Offer(TlsVersion.TLS_1_2, suites, groups=(*refused, SECP256R1))
    found = reach_agreement(arena, transcript, transport, offer, wants_keys=True)
    if found and found.group in refused:
        raise RefutedError(f"curve number {found.group} is accepted")


def _hash(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    suites = [number for number, name in ALL_1_2.items() if name.startswith("ECDHE")]
    offer = Offer(TlsVersion.TLS_1_2, suites, signatures=SHA1_SIGNATURES)
    if reach_agreement(arena, transcript, transport, offer, wants_keys=True):
        raise RefutedError("a key exchange signed with SHA-1 is accepted")


def _master_secret(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    found = reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_2, tuple(ALL_1_2)))
    if found and not found.has_extended_master_secret:
        raise RefutedError("no extended master secret in TLS 1.2")


def _compression(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    found = reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_2, tuple(ALL_1_2), compression=True))
    if found and found.compression:
        raise RefutedError("the server compresses")


def _injection(arena: Arena) -> Iterator[Attempt]:
    for transport in open_transports(arena, STARTTLS):
        yield Attempt(transport.value, partial(_inject, arena, transport))


def _inject(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    """A command behind STARTTLS in one segment; its reply under TLS would show that it was kept (CVE-2011-0411)."""
    with arena.connect(transcript, transport, arena.families[0]) as dialogue:
        expect(dialogue.reply(), 220)
        arena.hello(dialogue)
        dialogue.send(b"STARTTLS\r\nRSET\r\n")
        if dialogue.reply().code != 220:
            return  # it noticed
        dialogue.start_tls(ANY_CERTIFICATE)
        if not arena.hello(dialogue).keywords:
            raise RefutedError("a command sent in clear was obeyed under TLS")


def reach_agreement(
    arena: Arena, transcript: Transcript, transport: Transport, offer: Offer, *, wants_keys: bool = False
) -> Agreement | None:
    """A connection up to the server's answer to `offer`; None where it refuses."""
    with arena.connect(transcript, transport, arena.families[0]) as dialogue:
        arena.approach_tls(dialogue, transport)
        found = negotiate(dialogue.connection, offer, wants_keys=wants_keys)
        transcript.append(f"-> ClientHello for {offer.version.label}, {len(offer.suites)} cipher suites")
        transcript.append(f"<- {_describe(found)}")
        return found


def _describe(found: Agreement | None) -> str:
    if found is None:
        return "refused"
    name = (ALL_1_2 | TLS_1_3).get(found.suite, f"{found.suite:#06x}")
    return f"{TlsVersion(found.version).label}, {name}"
