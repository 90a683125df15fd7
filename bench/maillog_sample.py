"""A mail log of any length, deterministic: what a busy relay with a few hundred domains writes.

Shares of line kinds follow a Debian 12 server with submission, TLS, a milter and ten per cent of rejects. Queue ids are
short, as Postfix makes them by default: logwatch leaves out lines with long ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

HOST = "mx1"
START = datetime(2026, 3, 1, 6, 0, 0)


def lines(count: int, bsd_stamps: bool = False, seed: int = 1) -> Iterator[str]:
    """`count` lines, each ending in a newline."""
    pick = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    clock = START
    written = 0
    while True:
        for program, pid, text in _session(pick):
            clock += timedelta(microseconds=pick.randrange(1000, 60000))
            stamp = (
                clock.strftime("%b %e %H:%M:%S") if bsd_stamps else clock.isoformat(timespec="microseconds") + "+00:00"
            )
            yield f"{stamp} {HOST} postfix/{program}[{pid}]: {text}\n"
            written += 1
            if written == count:
                return


def _session(pick: random.Random) -> Iterator[tuple[str, int, str]]:
    kind = pick.random()
    smtpd, ip = pick.randrange(1000, 99999), f"198.51.{pick.randrange(100)}.{pick.randrange(250)}"
    name = f"mail{pick.randrange(400)}.partner{pick.randrange(300)}.example" if kind > 0.12 else "unknown"
    client = f"{name}[{ip}]"
    if kind < 0.12:
        yield from _refused(pick, smtpd, client)
        return
    queue_id = f"{pick.randrange(16**5):05X}{pick.randrange(16**6):06X}"
    sender = f"user{pick.randrange(2000)}@partner{pick.randrange(300)}.example"
    size, recipients = pick.randrange(800, 90000), 1 + (pick.random() < 0.15)
    yield "smtpd", smtpd, f"connect from {client}"
    login = kind > 0.7
    service = "submission/smtpd" if login else "smtpd"
    if pick.random() < 0.8:
        yield (
            service,
            smtpd,
            (
                f"Anonymous TLS connection established from {client}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
                "(256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256"
            ),
        )
    sasl = f", sasl_method=PLAIN, sasl_username=user{pick.randrange(200)}@example.org" if login else ""
    yield service, smtpd, f"{queue_id}: client={client}{sasl}"
    yield (
        "cleanup",
        smtpd + 1,
        f"{queue_id}: message-id=<{pick.randrange(10**12)}.{pick.randrange(10**6)}@partner.example>",
    )
    yield "qmgr", 777, f"{queue_id}: from=<{sender}>, size={size}, nrcpt={recipients} (queue active)"
    yield (
        service,
        smtpd,
        f"disconnect from {client} ehlo=2 starttls=1 mail=1 rcpt={recipients} data=1 quit=1 commands=7",
    )
    for _ in range(recipients):
        yield from _delivery(pick, queue_id, login)
    yield "qmgr", 777, f"{queue_id}: removed"


def _delivery(pick: random.Random, queue_id: str, outbound: bool) -> Iterator[tuple[str, int, str]]:
    delay = f"{pick.choice((0.12, 0.3, 0.55, 1.1, 2.3, 4.7, 12, 61))}"
    if not outbound:
        yield (
            "lmtp",
            4321,
            (
                f"{queue_id}: to=<user{pick.randrange(900)}@example.org>, relay=mx1.example.org[private/dovecot-lmtp], "
                f"delay={delay}, delays=0.1/0.01/0.02/0.3, dsn=2.0.0, status=sent (250 2.0.0 {queue_id} Saved)"
            ),
        )
        return
    number = int(pick.paretovariate(0.7)) % 300
    domain, relay = f"dest{number}.example", f"mx{number % 3}.dest{number}.example[203.0.113.{number % 250}]:25"
    to = f"user{pick.randrange(5000)}@{domain}"
    if pick.random() < 0.7:
        yield (
            "smtp",
            5000 + number,
            (
                f"Trusted TLS connection established to {relay}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
                "(256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256"
            ),
        )
    head = f"{queue_id}: to=<{to}>, relay={relay}, delay={delay}, delays=0.1/0.01/0.2/0.3"
    luck = pick.random()
    if luck < 0.93:
        yield (
            "smtp",
            5000 + number,
            f"{head}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {pick.randrange(16**9):X})",
        )
    elif luck < 0.98:
        yield (
            "smtp",
            5000 + number,
            (
                f"{head}, dsn=4.2.2, status=deferred (host {relay[:-3]} said: 452 4.2.2 <{to}>: mailbox full "
                "(in reply to RCPT TO command))"
            ),
        )
    else:
        yield (
            "smtp",
            5000 + number,
            (
                f"{head}, dsn=5.1.1, status=bounced (host {relay[:-3]} said: 550 5.1.1 <{to}>: Recipient address "
                "rejected: User unknown (in reply to RCPT TO command))"
            ),
        )


def _refused(pick: random.Random, smtpd: int, client: str) -> Iterator[tuple[str, int, str]]:
    yield "smtpd", smtpd, f"connect from {client}"
    luck = pick.random()
    if luck < 0.3:
        yield "smtpd", smtpd, f"warning: {client}: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=admin"
        yield "smtpd", smtpd, f"lost connection after AUTH from {client}"
        yield "smtpd", smtpd, f"disconnect from {client} ehlo=1 auth=0/1 commands=1/2"
        return
    reason = pick.choice(
        (
            "554 5.7.1 <bob@elsewhere.example>: Relay access denied",
            "550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
            f"450 4.7.25 Client host rejected: cannot find your hostname, [{client[8:]}",
            "504 5.5.2 <ylmf-pc>: Helo command rejected: need fully-qualified hostname",
        )
    )
    yield (
        "smtpd",
        smtpd,
        (
            f"NOQUEUE: reject: RCPT from {client}: {reason}; from=<spam@bad{pick.randrange(99)}.example> "
            "to=<nobody@example.org> proto=ESMTP helo=<ylmf-pc>"
        ),
    )
    yield "smtpd", smtpd, f"disconnect from {client} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"
