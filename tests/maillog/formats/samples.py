"""Reports for the tests of the formats: an ordinary day, and one written by an attacker."""

from __future__ import annotations

from datetime import UTC, datetime

from mailctl.maillog.report import (
    Delay,
    Deliverability,
    DomainDelivery,
    Hour,
    Lines,
    Period,
    Rejects,
    Report,
    Row,
    Sasl,
    Tls,
    Totals,
)

DAY = Report(
    period=Period(datetime(2026, 11, 21, 0, 0, 3, tzinfo=UTC), datetime(2026, 11, 21, 23, 59, 41, tzinfo=UTC)),
    lines=Lines(total=48_211, parsed=48_208, unparsed=3),
    totals=Totals(
        received=3_120,
        reinjected=12,
        internal=31,
        delivered=3_544,
        delivered_hops=12,
        forwarded=9,
        deferred=87,
        deferred_messages=41,
        bounced=23,
        expired=2,
        rejected=1_904,
        rejected_4xx=120,
        rejected_5xx=1_780,
        reject_warnings=4,
        held=1,
        discarded=2,
        bytes_received=412_345_678,
        bytes_delivered=455_000_000,
        removed=3_140,
        sasl_failures=212,
        sasl_logins=640,
        connections=6_120,
        ndn_sent=19,
    ),
    by_hour=tuple(
        Hour(f"2026-11-21T{hour:02}", 40 + hour * 9 % 200, 50 + hour * 11 % 220, hour % 5 * 3, hour % 3, 60 + hour)
        for hour in range(24)
    ),
    senders=(Row("ali@example.org", 320, 40_000_000), Row("news@example.org", 210, 9_000_000), Row("<>", 31, 90_000)),
    sender_domains=(Row("example.org", 530, 49_000_000), Row("gmail.com", 220, 30_000_000)),
    recipients=(Row("ali@example.org", 800, 90_000_000), Row("team@example.org", 420, 12_000_000)),
    recipient_domains=(Row("example.org", 2_300, 300_000_000), Row("gmail.com", 700, 60_000_000)),
    relays=(Row("private/dovecot-lmtp", 2_300, 300_000_000), Row("gmail-smtp-in.l.google.com", 690, 59_000_000)),
    rejects=Rejects(
        by_class=(
            Row("smtpd RCPT: Relay access denied", 900),
            Row("smtpd RCPT: Client host blocked using zen.spamhaus.org", 700),
            Row("smtpd RCPT: 451 4.3.5 Server configuration error", 12),
        ),
        by_code=(Row("554 5.7.1", 1_600), Row("450 4.1.8", 120)),
        by_client=(Row("203.0.113.9", 500), Row("198.51.100.7", 300)),
    ),
    deferrals=(
        Row("421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP", 40),
        Row("450 4.2.0 Recipient address rejected: Greylisted", 30),
        Row("connect to mx.slow.example: Connection timed out", 17),
    ),
    bounces=(
        Row("550 5.1.1 Recipient address rejected: User unknown", 15),
        Row("550 5.7.26 Unauthenticated email from example.net is not accepted - gsmtp", 8),
    ),
    dsn=(Row("2.0.0", 3_544), Row("4.7.28", 40), Row("5.1.1", 15)),
    delay=Delay(0.4, 2.1, 6.0, 340.0, 7_300.0),
    tls=Tls(
        inbound=(Row("TLSv1.3", 2_000), Row("TLSv1.2", 100)),
        outbound=(Row("TLSv1.3", 720), Row("TLSv1.2", 12)),
        levels=(Row("Untrusted", 400), Row("Verified", 320)),
        ciphers=(Row("TLS_AES_256_GCM_SHA384", 2_700),),
    ),
    sasl=Sasl(640, 212, (Row("ali@example.org", 400), Row("app@example.org", 240)), (Row("203.0.113.40", 212),)),
    warnings=(
        Row("smtpd: warning: hostname does not resolve to address", 55),
        Row("smtpd: fatal: no SASL authentication mechanisms", 2),
    ),
    deliverability=Deliverability(
        domains=(
            DomainDelivery(
                "gmail.com",
                delivered=700,
                first_try=660,
                deferred=40,
                bounced=8,
                tls=700,
                levels=(Row("Untrusted", 700),),
                reasons=(Row("421 4.7.28 Gmail has detected an unusual rate of unsolicited mail", 40),),
                delay=Delay(0.9, 3.0, 12.0, 400.0, 7_300.0),
            ),
            DomainDelivery("slow.example", delivered=3, first_try=0, deferred=17, bounced=2, tls=1),
        ),
        senders=(Row("news@example.org", 60),),
        relays=(Row("gmail-smtp-in.l.google.com", 48),),
    ),
)

HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>@evil.example",
    "\x1b[2J\x1b]0;owned\x07clear@evil.example",
    "=cmd|' /C calc'!A0",
    "+1@evil.example",
    "-2+3",
    "@SUM(1)",
    'quo"te\\back\nslash{}',
    "txt\u202egpj.exe\u200b",
    "bytes\udcff\udcfe",
    "</script></style><svg onload=alert(2)>",
    "{{ 7*7 }}{% raw %}",
    "nul\x00tab\tcr\rlf\n",
    "\x9b31mC1",
)
"""Names as an attacker puts them into HELO, MAIL FROM or a login."""


def hostile() -> Report:
    """Every list of the report holds every hostile name."""
    rows = tuple(Row(name, 100 - place, place) for place, name in enumerate(HOSTILE_NAMES))
    domains = tuple(DomainDelivery(name, delivered=1, reasons=rows, levels=rows) for name in HOSTILE_NAMES)
    return Report(
        lines=Lines(total=50, parsed=20, unparsed=30),
        totals=Totals(deferred=9, bounced=9, rejected=9, sasl_failures=99),
        by_hour=(Hour("2026-11-21T00", 1),),
        senders=rows,
        sender_domains=rows,
        recipients=rows,
        recipient_domains=rows,
        relays=rows,
        rejects=Rejects(rows, rows, rows),
        deferrals=rows,
        bounces=rows,
        dsn=rows,
        tls=Tls(rows, rows, rows, rows),
        sasl=Sasl(9, 99, rows, rows),
        warnings=rows,
        deliverability=Deliverability(domains, rows, rows),
    )
