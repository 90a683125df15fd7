"""Record logs of a real Postfix, each with the numbers its driver knows: `python record.py FOLDER` as root.

A scenario drives Postfix and returns what must be counted, known from the replies it got and from what it asked
for, not from any log. FOLDER gets `<run>/<scenario>/mail.log` and `expected.json`; totals that are not named are 0.
"""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from world import DENIED, NAMESPACES, OUTSIDE, World, run

Expected = dict[str, int]
RUNS = {"short-ids-rfc3339": (False, False), "long-ids-bsd": (True, True)}
BODY = "Subject: hello\r\n\r\ntext\r\n"


def send(
    *recipients: str, sender: str = "ali@example.org", port: int = 25, source: str = "127.0.0.1", body: str = BODY
) -> list[int]:
    """One SMTP session with one message; the replies to RCPT, and to the end of the message where it got there."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", source_address=(source, 0)) as client:
        client.ehlo()
        client.mail(sender)
        codes = [client.rcpt(recipient)[0] for recipient in recipients]
        if 250 in codes:
            codes.append(client.data(body)[0])
        return codes


def expect(codes: list[int], *wanted: int) -> None:
    assert codes == list(wanted), f"{codes} is not {wanted}"


def local_delivery(world: World) -> Expected:
    run(
        "smtp-source",
        "-M",
        "client.example",
        "-m",
        "20",
        "-s",
        "4",
        "-f",
        "sender@ok.example",
        "-t",
        "ali@example.org",
        "127.0.0.1:25",
    )
    return {"connections": 20, "received": 20, "delivered": 20, "removed": 20}


def several_recipients(world: World) -> Expected:
    for _ in range(3):
        expect(send("ali@example.org", "bob@example.org", "someone@ok.example"), 250, 250, 250, 250)
    return {"connections": 3, "received": 3, "delivered": 9, "removed": 3}


def one_connection_many_messages(world: World) -> Expected:
    run(
        "smtp-source",
        "-M",
        "client.example",
        "-d",
        "-m",
        "10",
        "-f",
        "sender@ok.example",
        "-t",
        "x@ok.example",
        "127.0.0.1:25",
    )
    return {"connections": 1, "received": 10, "delivered": 10, "removed": 10}


def odd_addresses(world: World) -> Expected:
    expect(
        send('<"a b"@example.org>', '<"x>, relay=y, status=sent (250"@ok.example>', sender='<"a>, size=9"@ok.example>'),
        250,
        250,
        250,
    )
    expect(send("ali@example.org", sender="<>"), 250, 250)
    return {"connections": 2, "received": 2, "delivered": 3, "removed": 2}


def refused(world: World) -> Expected:
    for _ in range(5):
        expect(send("nobody@example.org"), 550)
    for _ in range(4):
        expect(send("x@elsewhere.example", source=OUTSIDE), 554)
    expect(send("later@example.org", "grey@example.org"), 450, 550)
    return {"connections": 10, "rejected": 11, "rejected_5xx": 10, "rejected_4xx": 1}


def refused_one_of_two(world: World) -> Expected:
    expect(send("nobody@example.org", "ali@example.org", "later@example.org"), 550, 250, 450, 250)
    return {
        "connections": 1,
        "rejected": 2,
        "rejected_5xx": 1,
        "rejected_4xx": 1,
        "received": 1,
        "delivered": 1,
        "removed": 1,
    }


def hostile_helo(world: World) -> Expected:
    for helo in ("x>: 250 status=sent (250", "554 5.7.1 <a>: Relay", "NOQUEUE:", "from=<a>"):
        with (
            socket.create_connection(("127.0.0.1", 25), source_address=(OUTSIDE, 0)) as client,
            client.makefile("rb") as replies,
        ):
            replies.readline()
            for line in (f"HELO {helo}", "MAIL FROM:<a@ok.example>", "RCPT TO:<b@elsewhere.example>", "QUIT"):
                client.sendall(line.encode() + b"\r\n")
                replies.readline()
    # A HELO that is no host name is a 501 of the protocol, then RCPT is refused; whether it is logged, see below.
    return {"connections": 4, "rejected": 4, "rejected_5xx": 4}


def warned(world: World) -> Expected:
    for _ in range(3):
        with smtplib.SMTP("127.0.0.1", 25, local_hostname="short") as client:
            client.sendmail("ali@example.org", ["bob@example.org"], BODY)
    return {"connections": 3, "reject_warnings": 3, "received": 3, "delivered": 3, "removed": 3}


def discarded(world: World) -> Expected:
    """Accepted, and gone: it never reaches the queue."""
    for _ in range(2):
        expect(send("discard@ok.example"), 250, 250)
    return {"connections": 2, "discarded": 2}


def held(world: World) -> Expected:
    """On hold by an access table, then released; the size is what the queue says."""
    expect(send("hold@ok.example"), 250, 250)
    world.settle()
    size = int(str(world.queue()[0]["message_size"]))
    run("postsuper", "-H", "ALL")
    run("postqueue", "-f")
    return {
        "connections": 1,
        "held": 1,
        "received": 1,
        "delivered": 1,
        "removed": 1,
        "bytes_received": size,
        "bytes_delivered": size,
    }


def header_warning(world: World) -> Expected:
    expect(send("ali@example.org", body="Subject: warn\r\n\r\nx\r\n"), 250, 250)
    return {"connections": 1, "received": 1, "delivered": 1, "removed": 1}


def checks(world: World) -> Expected:
    for subject in ("refuse", "refuse from a[1.2.3.4]; from=<x> to=<y> proto=ESMTP helo=<z>: 250 ok"):
        expect(send("ali@example.org", body=f"Subject: {subject}\r\n\r\nx\r\n"), 250, 550)
    expect(send("ali@example.org", body="Subject: x\r\n\r\nrefuse this body\r\n"), 250, 550)
    return {"connections": 3, "rejected": 3}


def milter(world: World) -> Expected:
    expect(send("milter-a@ok.example", port=2526), 550)
    expect(send("milter-later@ok.example", port=2526), 450)
    expect(send("ali@example.org", port=2526, body="Subject: milter-reject\r\n\r\nx\r\n"), 250, 550)
    expect(send("ali@example.org", port=2526, body="Subject: milter-tempfail\r\n\r\nx\r\n"), 250, 451)
    expect(send("ali@example.org", port=2526), 250, 250)
    return {
        "connections": 5,
        "rejected": 4,
        "rejected_4xx": 1,
        "rejected_5xx": 1,
        "received": 1,
        "delivered": 1,
        "removed": 1,
    }


def pickup(world: World) -> Expected:
    for _ in range(4):
        run("sendmail", "-f", "ali@example.org", "bob@example.org", stdin="Subject: x\n\ntext\n")
    return {"received": 4, "delivered": 4, "removed": 4}


def aliases(world: World) -> Expected:
    """root becomes one address outside local(8), both becomes two: each a forward and a message made here."""
    for _ in range(2):
        expect(send("root@mx1.example.org"), 250, 250)
    expect(send("both@mx1.example.org"), 250, 250)
    return {"connections": 3, "received": 3, "forwarded": 3, "internal": 3, "delivered": 4, "removed": 6}


def lmtp_and_pipe(world: World) -> Expected:
    expect(send("a@lmtp.example", "b@lmtp.example", "c@pipe.example", "d@drop.example"), 250, 250, 250, 250, 250)
    return {"connections": 1, "received": 1, "delivered": 4, "removed": 1}


def bounced(world: World) -> Expected:
    """Refused at RCPT, and after the message: each sender gets a notice, a message made here."""
    for domain in ("never.example", "end.example"):
        expect(send(f"x@{domain}"), 250, 250)
    return {"connections": 2, "received": 2, "bounced": 2, "ndn_sent": 2, "internal": 2, "delivered": 2, "removed": 4}


def bounced_null_sender(world: World) -> Expected:
    expect(send("x@never.example", sender="<>"), 250, 250)
    return {"connections": 1, "received": 1, "bounced": 1, "removed": 1}


def deferred(world: World) -> Expected:
    for domain in ("later.example", "hangup.example", "closed.example"):
        expect(send(f"x@{domain}", f"y@{domain}", "ali@example.org"), 250, 250, 250, 250)
    world.settle()
    assert len(world.queue()) == 3
    return {"connections": 3, "received": 3, "delivered": 3, "deferred": 6, "deferred_messages": 3}


def deferred_twice(world: World) -> Expected:
    expect(send("x@later.example"), 250, 250)
    world.settle()
    run("postqueue", "-f")
    world.settle()
    run("postsuper", "-d", "ALL")
    return {"connections": 1, "received": 1, "deferred": 2, "deferred_messages": 1, "removed": 1}


def expired(world: World) -> Expected:
    for _ in range(2):
        expect(send("x@later.example"), 250, 250)
    world.settle()
    run("postsuper", "-e", "ALL", "deferred")
    run("postqueue", "-f")
    return {
        "connections": 2,
        "received": 2,
        "deferred": 2,
        "deferred_messages": 2,
        "expired": 2,
        "ndn_sent": 2,
        "internal": 2,
        "delivered": 2,
        "removed": 4,
    }


def soft_bounce(world: World) -> Expected:
    run("postconf", "-e", "soft_bounce=yes")
    run("postfix", "reload")
    time.sleep(3)
    expect(send("x@never.example"), 250, 250)
    world.settle()
    run("postconf", "-X", "soft_bounce")
    run("postfix", "reload")
    time.sleep(3)
    return {"connections": 1, "received": 1, "deferred": 1, "deferred_messages": 1}


def held_by_hand(world: World) -> Expected:
    """On hold while deferred, released to where it was, deleted before it is tried again."""
    expect(send("x@later.example"), 250, 250)
    world.settle()
    run("postsuper", "-h", "ALL")
    run("postsuper", "-H", "ALL")
    run("postsuper", "-d", "ALL")
    return {"connections": 1, "received": 1, "deferred": 1, "deferred_messages": 1, "held": 1, "removed": 1}


def requeued(world: World) -> Expected:
    """A new id for the same message: it comes in through pickup again, and is tried again."""
    expect(send("x@later.example"), 250, 250)
    world.settle()
    run("postsuper", "-r", "ALL")
    world.settle()
    return {"connections": 1, "received": 1, "reinjected": 1, "deferred": 2, "deferred_messages": 2}


def content_filter(world: World) -> Expected:
    """What comes back, with XFORWARD or without, is the same message again: a hop, and a delivery of its own."""
    for recipient in ("filter@ok.example", "plain@ok.example"):
        for _ in range(3):
            expect(send(recipient), 250, 250)
    return {"connections": 12, "received": 6, "reinjected": 6, "delivered": 12, "delivered_hops": 6, "removed": 12}


def second_instance(world: World) -> Expected:
    for _ in range(4):
        expect(send("x@second.example"), 250, 250)
    return {"connections": 8, "received": 4, "reinjected": 4, "delivered": 8, "delivered_hops": 4, "removed": 8}


def submission(world: World) -> Expected:
    for password in ("right", "wrong", "right", "wrong", "wrong"):
        with smtplib.SMTP("127.0.0.1", 587, local_hostname="client.example", source_address=(OUTSIDE, 0)) as client:
            client.starttls(context=_trusting())
            try:
                client.login("ali@example.org", password)
            except smtplib.SMTPAuthenticationError:
                continue
            client.sendmail("ali@example.org", ["x@ok.example"], BODY)
    return {
        "connections": 5,
        "received": 2,
        "delivered": 2,
        "removed": 2,
        "sasl_logins": 2,
        "sasl_failures": FAILED * 3,
    }


FAILED = 2  # smtplib tries PLAIN, then LOGIN


def postscreen(world: World) -> Expected:
    """Not through postscreen: someone on the list, and someone who speaks first. Then one who waits."""
    with socket.create_connection(("127.0.0.1", 2525), source_address=(DENIED, 0)) as client:
        _dialogue(client, "EHLO x.example", "MAIL FROM:<a@ok.example>", "RCPT TO:<ali@example.org>", "QUIT")
    with socket.create_connection(("127.0.0.1", 2525), source_address=(OUTSIDE, 0)) as client:
        client.sendall(b"EHLO x.example\r\n")
        _dialogue(client, "MAIL FROM:<a@ok.example>", "RCPT TO:<ali@example.org>", "QUIT")
    expect(send("ali@example.org", port=2525), 250, 250)
    return {"connections": 1, "rejected": 2, "rejected_5xx": 2, "received": 1, "delivered": 1, "removed": 1}


def verified(world: World) -> Expected:
    """Postfix asks the next host with a message of its own, which is not mail."""
    expect(send("x@ok.example", port=2527), 250, 250)
    expect(send("x@never.example", port=2527), 450)
    return {
        "connections": 2,
        "received": 1,
        "delivered": 1,
        "rejected": 1,
        "rejected_4xx": 1,
        "internal": 2,
        "removed": 3,
    }


def broken_off(world: World) -> Expected:
    """Connections that end in the middle: before mail, after RCPT, after DATA."""
    for lines in ([], ["EHLO x.example"], ["EHLO x.example", "MAIL FROM:<a@ok.example>", "RCPT TO:<ali@example.org>"]):
        with socket.create_connection(("127.0.0.1", 25)) as client:
            _dialogue(client, *lines)
    with socket.create_connection(("127.0.0.1", 25)) as client:
        _dialogue(client, "EHLO x.example", "MAIL FROM:<a@ok.example>", "RCPT TO:<ali@example.org>", "DATA")
        client.sendall(b"Subject: x\r\n\r\nhalf")
    return {"connections": 4}


def _dialogue(client: socket.socket, *lines: str) -> None:
    client.settimeout(10)
    replies = client.makefile("rb")
    replies.readline()
    for line in lines:
        client.sendall(line.encode() + b"\r\n")
        while (reply := replies.readline()) and reply[3:4] == b"-":
            pass


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


SCENARIOS: tuple[Callable[[World], Expected], ...] = (
    *(local_delivery, several_recipients, one_connection_many_messages, odd_addresses, refused, refused_one_of_two),
    *(hostile_helo, warned, discarded, held, header_warning, checks, milter, pickup, aliases, lmtp_and_pipe, bounced),
    *(bounced_null_sender, deferred, deferred_twice, expired, soft_bounce, held_by_hand, requeued, content_filter),
    *(second_instance, submission, postscreen, verified, broken_off),
)


def record(folder: Path, run_name: str) -> list[str]:
    """Returns the scenarios that did not go as planned; the others are written."""
    failed = []
    long_ids, bsd_stamps = RUNS[run_name]
    world = World(long_ids, bsd_stamps)
    world.settle()
    for scenario in SCENARIOS:
        if sys.argv[4:] and scenario.__name__ not in sys.argv[4:]:
            continue
        start = world.log.stat().st_size
        try:
            expected = scenario(world)
            world.settle()
        except Exception:
            sys.stderr.write(f"{traceback.format_exc()}{world.log.read_text(errors='replace')[-4000:]}")
            failed.append(scenario.__name__)
            continue
        world.empty()
        place = folder / run_name / scenario.__name__
        place.mkdir(parents=True, exist_ok=True)
        with world.log.open("rb") as log:
            log.seek(start)
            (place / "mail.log").write_bytes(log.read())
        (place / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
        sys.stderr.write(f"{run_name}: {scenario.__name__}\n")
    world.stop()
    return failed


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        sys.exit(", ".join(record(Path(sys.argv[2]), sys.argv[3])) or 0)
    else:
        for name in RUNS:
            command = [
                *NAMESPACES,
                sys.executable,
                __file__,
                "--inside",
                str(Path(sys.argv[1]).absolute()),
                name,
                *sys.argv[2:],
            ]
            subprocess.run(command, check=True)
