"""Family tls: versions, cipher suites, curves, compression, STARTTLS injection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mailctl.probe.arena import ANY_CERTIFICATE, Arena, Transport, expect
from mailctl.probe.check import Attempt, CannotTellError, Check, DoubtError, RefutedError
from mailctl.probe.dialogue import Transcript
from mailctl.probe.handshake import SHA1_SIGNATURES, Agreement, Offer, TlsVersion, negotiate
from mailctl.probe.suites import ALL_1_2, INSUFFICIENT, LEVELS, MOZILLA_INTERMEDIATE, PHASE_OUT, TLS_1_3
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
SMALLEST_DH = 2048  # bits
VERSIONS_REMEDY = "tls.profile of the spec; smtpd_tls_protocols, ssl_min_protocol"
SUITES_REMEDY = "tls.profile of the spec; smtpd_tls_mandatory_ciphers and tls_high_cipherlist, ssl_cipher_list"
OPPORTUNISTIC_REMEDY = "smtpd_tls_ciphers, smtpd_tls_exclude_ciphers; phase out what has no forward secrecy"
ORDER_REMEDY = "tls_preempt_cipherlist = yes, with a tls_medium_cipherlist that has the good ones first"
HASH_REMEDY = "@SECLEVEL=2 at the end of tls_high_cipherlist, tls_medium_cipherlist and ssl_cipher_list"
OPTIONS_REMEDY = "tls_ssl_options = NO_COMPRESSION, NO_RENEGOTIATION"


def checks() -> tuple[Check, ...]:
    return (
        Check("tls.versions", "old versions of TLS are refused, current ones are spoken", VERSIONS_REMEDY, _versions),
        Check(
            "tls.mozilla-intermediate",
            "where passwords are sent, only cipher suites of Mozilla's profile are accepted",
            SUITES_REMEDY,
            partial(_suites, WITH_PASSWORDS, _judge_mozilla),
            waits=True,
        ),
        Check(
            "tls.internet-nl",
            "port 25 accepts no cipher suite that Internet.nl calls insufficient",
            OPPORTUNISTIC_REMEDY,
            partial(_suites, (Transport.SMTP_TLS,), _judge_internet_nl),
            waits=True,
        ),
        Check(
            "tls.curves",
            "small curves are refused, and where passwords are sent all but Mozilla's",
            SUITES_REMEDY,
            partial(on_each_port, _curves),
        ),
        Check(
            "tls.order",
            "port 25 chooses the cipher suite, and what Internet.nl calls good comes first",
            ORDER_REMEDY,
            _orders,
            waits=True,
        ),
        Check("tls.hash", "no key exchange is signed with SHA-1", HASH_REMEDY, partial(on_each_port, _hash)),
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
    oldest = OLDEST[_profile(arena)]
    for transport in open_transports(arena, ENCRYPTED):
        for version in TlsVersion:
            where = f"{transport.value} {version.label}"
            yield Attempt(where, partial(_version, arena, transport, version, version >= oldest))


def _profile(arena: Arena) -> TlsProfile:
    return arena.spec.tls.profile if arena.spec else TlsProfile.INTERMEDIATE


def _version(arena: Arena, transport: Transport, version: TlsVersion, is_wanted: bool, transcript: Transcript) -> None:
    suites = TLS_1_3 if version is TlsVersion.TLS_1_3 else ALL_1_2
    found = reach_agreement(arena, transcript, transport, Offer(version, tuple(suites)))
    speaks = found is not None and found.version == version
    if is_wanted and not speaks and version >= TlsVersion.TLS_1_2:
        raise RefutedError(f"{version.label} is not spoken")
    if speaks and not is_wanted:
        raise RefutedError(f"{version.label} is spoken")


def _suites(
    transports: Sequence[Transport], judge: Callable[[list[str], int], None], arena: Arena
) -> Iterator[Attempt]:
    if _profile(arena) is not TlsProfile.INTERMEDIATE:
        raise CannotTellError(f"the spec chooses the profile {_profile(arena)}")
    for transport in open_transports(arena, transports):
        yield Attempt(transport.value, partial(_judge_suites, arena, transport, judge))


def _judge_suites(
    arena: Arena, transport: Transport, judge: Callable[[list[str], int], None], transcript: Transcript
) -> None:
    left, accepted, smallest_dh = dict(ALL_1_2), [], 0
    while left:
        found = reach_agreement(arena, [], transport, Offer(TlsVersion.TLS_1_2, tuple(left)), wants_keys=True)
        if found is None or found.suite not in left:
            break
        accepted.append(left.pop(found.suite))
        if accepted[-1].startswith("DHE"):
            smallest_dh = min(smallest_dh or found.dh_bits, found.dh_bits)
    transcript.append(f"<- {' '.join(accepted) or 'no suite of TLS 1.2'}")
    judge(accepted, smallest_dh)


def _judge_mozilla(accepted: list[str], dh_bits: int) -> None:
    if foreign := sorted(set(accepted) - set(MOZILLA_INTERMEDIATE.values())):
        raise RefutedError(f"accepted: {', '.join(foreign)}")
    _judge_dh(dh_bits)


def _judge_internet_nl(accepted: list[str], dh_bits: int) -> None:
    if bad := sorted(set(accepted) & set(INSUFFICIENT.values())):
        raise RefutedError(f"accepted: {', '.join(bad)}")
    _judge_dh(dh_bits)
    if old := sorted(set(accepted) & set(PHASE_OUT.values())):
        raise DoubtError(f"to be phased out: {', '.join(old)}")


def _judge_dh(bits: int) -> None:
    if 0 < bits < SMALLEST_DH:
        raise RefutedError(f"a Diffie-Hellman prime of {bits} bits")


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


def _orders(arena: Arena) -> Iterator[Attempt]:
    for transport in open_transports(arena, (Transport.SMTP_TLS,)):
        yield Attempt(transport.value, partial(_order, arena, transport))


def _order(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    """A client that names the worst first gets the best all the same; then the best without that one, and so on."""
    for number, level in enumerate(LEVELS):
        worse = [suite for each in reversed(LEVELS[number + 1 :]) for suite in each]
        left = list(level)
        while chosen := reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_2, (*worse, *left))):
            if chosen.suite not in left:
                break
            left.remove(chosen.suite)
        if chosen is None:
            return
        if left and (better := reach_agreement(arena, transcript, transport, Offer(TlsVersion.TLS_1_2, left))):
            raise RefutedError(f"{ALL_1_2[chosen.suite]} is chosen before {ALL_1_2[better.suite]}")


def _hash(arena: Arena, transport: Transport, transcript: Transcript) -> None:
    suites = [number for number, name in ALL_1_2.items() if name.startswith("ECDHE")]
    offer = Offer(TlsVersion.TLS_1_2, suites, signatures=SHA1_SIGNATURES)
    if reach_agreement(arena, transcript, transport, offer, wants_keys=True):
        raise RefutedError("a key exchange signed with SHA-1 is accepted")


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
