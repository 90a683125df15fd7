"""Family tls, cipher suites of TLS 1.2: which are accepted, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mailctl.probe.arena import Arena, Transport
from mailctl.probe.check import Attempt, CannotTellError, Check, DoubtError, RefutedError
from mailctl.probe.cipher_suites import ALL_1_2, INSUFFICIENT, LEVELS, MOZILLA_INTERMEDIATE, PHASE_OUT
from mailctl.probe.dialogue import Transcript
from mailctl.probe.families.tls import (
    SUITES_REMEDY,
    WITH_PASSWORDS,
    open_transports,
    reach_agreement,
    tls_profile,
)
from mailctl.probe.handshake import Offer, TlsVersion
from mailctl.spec.choices import TlsProfile

OPPORTUNISTIC_REMEDY = "tls.profile of the spec; tls_medium_cipherlist with ECDHE and AEAD suites only"
ORDER_REMEDY = "tls_preempt_cipherlist = yes, with a tls_medium_cipherlist that has the sufficient ones first"
# Bits: Mozilla's, and those of the named groups of RFC 7919 that NCSC-NL does not call insufficient.
SMALLEST_DH, SMALLEST_DH_PORT_25 = 2048, 3072
# Some servers look at the first 64 suites of an offer only.
MOST_SUITES = 60


def checks() -> tuple[Check, ...]:
    return (
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
            "tls.order",
            "port 25 chooses the cipher suite, and what Internet.nl calls sufficient comes first",
            ORDER_REMEDY,
            _orders,
            waits=True,
        ),
    )


def _suites(
    transports: Sequence[Transport], judge: Callable[[list[str], int], None], arena: Arena
) -> Iterator[Attempt]:
    if tls_profile(arena) is not TlsProfile.INTERMEDIATE:
        raise CannotTellError(f"the spec chooses the profile {tls_profile(arena)}")
    for transport in open_transports(arena, transports):
        yield Attempt(transport.value, partial(_judge_suites, arena, transport, judge))


def _judge_suites(
    arena: Arena, transport: Transport, judge: Callable[[list[str], int], None], transcript: Transcript
) -> None:
    accepted, smallest_dh = [], 0
    for left in _in_parts(list(ALL_1_2)):
        while found := reach_agreement(arena, [], transport, Offer(TlsVersion.TLS_1_2, left), wants_keys=True):
            if found.suite not in left:
                break
            left.remove(found.suite)
            accepted.append(ALL_1_2[found.suite])
            if accepted[-1].startswith("DHE"):
                smallest_dh = min(smallest_dh or found.dh_bits, found.dh_bits)
    transcript.append(f"<- {' '.join(accepted) or 'no suite of TLS 1.2'}")
    judge(accepted, smallest_dh)


def _judge_mozilla(accepted: list[str], dh_bits: int) -> None:
    if foreign := sorted(set(accepted) - set(MOZILLA_INTERMEDIATE.values())):
        raise RefutedError(f"accepted: {', '.join(foreign)}")
    _judge_dh(dh_bits, SMALLEST_DH)


def _judge_internet_nl(accepted: list[str], dh_bits: int) -> None:
    if bad := sorted(set(accepted) & set(INSUFFICIENT.values())):
        raise RefutedError(f"accepted: {', '.join(bad)}")
    _judge_dh(dh_bits, SMALLEST_DH_PORT_25)
    if old := sorted(set(accepted) & set(PHASE_OUT.values())):
        raise DoubtError(f"to be phased out: {', '.join(old)}")


def _judge_dh(bits: int, smallest: int) -> None:
    if 0 < bits < smallest:
        raise RefutedError(f"a Diffie-Hellman prime of {bits} bits")


def _in_parts(suites: list[int]) -> Iterator[list[int]]:
    return (suites[at : at + MOST_SUITES] for at in range(0, len(suites), MOST_SUITES))


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
