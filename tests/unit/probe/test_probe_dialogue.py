"""A dialogue over a real socket: replies of every kind, silence, and what the transcript shows."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from mailctl.probe.arena import Family, Transport
from mailctl.probe.case import FOLDER, load_family
from mailctl.probe.cipher_suites import ALL_1_2
from mailctl.probe.dialogue import Connection, Dialogue, DialogueError, Endpoint, Patience, Transcript
from mailctl.probe.handshake import Agreement, Offer, TlsVersion, negotiate
from mailctl.probe.result import Outcome, Verdict
from mailctl.probe.subject import Subject


@contextlib.contextmanager
def server_saying(*answers: bytes, hangs_up: bool = False) -> Iterator[Endpoint]:
    """Takes one connection: says the first answer, and one more after each thing it hears; then listens on."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                for position, answer in enumerate(answers):
                    if position:
                        connection.recv(65536)
                    connection.sendall(answer)
                if not hangs_up:
                    connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Endpoint("127.0.0.1", listener.getsockname()[1])
        finally:
            thread.join()


def open_dialogue(endpoint: Endpoint, transcript: Transcript, reply: float = 20.0) -> Dialogue:
    return Dialogue(endpoint, Patience(reply, time.monotonic() + 60), transcript)


def test_a_reply_of_many_lines_is_one_reply() -> None:
    transcript: Transcript = []
    offer = b"250-mx\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n"
    with server_saying(b"220 hi\r\n", offer) as endpoint, open_dialogue(endpoint, transcript) as dialogue:
        assert dialogue.reply().code == 220
        reply = dialogue.command("EHLO me")
    assert reply.is_success
    assert reply.keywords == {"SIZE": "1000", "AUTH": "PLAIN LOGIN"}
    assert transcript == ["<- 220 hi", "-> EHLO me", "<- 250-mx", "<- 250-SIZE 1000", "<- 250 AUTH PLAIN LOGIN"]


def test_what_a_server_says_cannot_reach_the_terminal() -> None:
    transcript: Transcript = []
    with server_saying(b"220 \x1b]0;owned\x07\xff\r\n") as endpoint, open_dialogue(endpoint, transcript) as dialogue:
        dialogue.reply()
    assert transcript == [r"<- 220 \x1b]0;owned\x07\xff"]


def test_the_password_stays_out_of_the_transcript() -> None:
    transcript: Transcript = []
    with server_saying(b"220 hi\r\n", b"235 ok\r\n") as endpoint, open_dialogue(endpoint, transcript) as dialogue:
        dialogue.reply()
        dialogue.log_in("ali@example.org", "secret")
    assert transcript[1] == "-> AUTH PLAIN (as ali@example.org)"


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"hello\r\n", "no SMTP reply: 'hello'"), (b"220 h", "hung up"), (b"x" * 70000, "without an end")],
)
def test_what_is_no_reply_ends_the_dialogue(answer: bytes, error: str) -> None:
    with (
        server_saying(answer, hangs_up=True) as endpoint,
        open_dialogue(endpoint, []) as dialogue,
        pytest.raises(DialogueError, match=error),
    ):
        dialogue.reply()


def test_silence_ends_the_dialogue_in_time() -> None:
    started = time.monotonic()
    with (
        server_saying(b"") as endpoint,
        open_dialogue(endpoint, [], reply=0.2) as dialogue,
        pytest.raises(DialogueError, match="no answer in time"),
    ):
        dialogue.reply()
    assert time.monotonic() - started < 20


def test_after_the_deadline_nothing_is_waited_for() -> None:
    with pytest.raises(DialogueError, match="no answer in time"):
        Dialogue(Endpoint("127.0.0.1", 9), Patience(5, time.monotonic() - 1), [])


def test_a_closed_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DialogueError, match=f"no connection to port {port}: connection refused"):
        open_dialogue(Endpoint("127.0.0.1", port), [])


def server_hello(version: int, suite: int, compression: int, *, has_renegotiation_info: bool = True) -> bytes:
    extensions = b"\xff\x01\x00\x01\x00" if has_renegotiation_info else b""
    body = struct.pack("!H", version) + bytes(32) + b"\x00" + struct.pack("!HB", suite, compression)
    body += struct.pack("!H", len(extensions)) + extensions
    message = b"\x02" + struct.pack("!I", len(body))[1:] + body
    return struct.pack("!BHH", 22, 0x0303, len(message)) + message


def key_exchange(content: bytes) -> bytes:
    message = b"\x0c" + struct.pack("!I", len(content))[1:] + content
    return struct.pack("!BHH", 22, 0x0303, len(message)) + message


def agree(answer: bytes, *, wants_keys: bool = False) -> Agreement | None:
    offer = Offer(TlsVersion.TLS_1_2, tuple(ALL_1_2), server_name="mx1.example.org")
    with (
        server_saying(b"", answer, hangs_up=True) as endpoint,
        socket.create_connection((endpoint.address, endpoint.port), timeout=20) as connection,
    ):
        return negotiate(Connection(connection, time.monotonic() + 20), offer, wants_keys=wants_keys)


def test_compression_and_missing_renegotiation_info_are_seen() -> None:
    """What no library of this machine would agree to."""
    hello = server_hello(0x0303, 0x002F, 1, has_renegotiation_info=False)
    assert agree(hello) == Agreement(0x0303, 0x002F, 1, has_secure_renegotiation=False)


def test_the_size_of_a_prime_and_the_number_of_a_curve_are_read() -> None:
    prime = server_hello(0x0303, 0x0033, 0) + key_exchange(struct.pack("!H", 128) + bytes(128))
    assert agree(prime, wants_keys=True) == Agreement(0x0303, 0x0033, 0, True, dh_bits=1024)
    curve = server_hello(0x0303, 0xC013, 0) + key_exchange(b"\x03\x00\x15")
    assert agree(curve, wants_keys=True) == Agreement(0x0303, 0xC013, 0, True, group=21)


@pytest.mark.parametrize(
    "answer", [b"\x15\x03\x03\x00\x02\x02\x28", b"", b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", b"220 hi\r\n"]
)
def test_an_alert_an_end_and_nonsense_are_refusals(answer: bytes) -> None:
    assert agree(answer) is None


class OnePort:
    """An arena where port 25 is open on IPv4, and nothing else."""

    subject = Subject({"mailbox": "ali@example.org", "victim": "probe@example.com"}, {})

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def is_open(self, transport: Transport, family: Family) -> bool:
        return (transport, family) == (Transport.SMTP, Family.IPV4)

    def connect(self, transcript: Transcript, transport: Transport, family: Family) -> Dialogue:
        return open_dialogue(self._endpoint, transcript)

    def greet(self, dialogue: Dialogue, transport: Transport) -> None:
        dialogue.reply()


@pytest.mark.parametrize(
    ("answer", "verdict", "is_refuted", "note"),
    [
        (b"554 5.7.1 <probe@example.com>: Relay access denied", Verdict.OK, False, ""),
        (b"250 2.1.5 Ok", Verdict.FAIL, True, "was answered '250 2.1.5 Ok'"),
        (b"450 4.1.8 <ali@example.org>: Sender address rejected: Domain not found", Verdict.SKIP, False, "in the DNS"),
    ],
    ids=["denied", "relayed", "a domain that is not published yet"],
)
def test_who_is_refused_for_another_reason_has_proved_nothing_about_relaying(
    answer: bytes, verdict: Verdict, is_refuted: bool, note: str
) -> None:
    (check,) = (each for each in load_family(FOLDER / "relay.yml") if each.name == "relay.our-address")
    with server_saying(b"220 hi\r\n", b"250 2.1.0 Ok\r\n", answer + b"\r\n") as endpoint:
        (attempt,) = check.attempts(OnePort(endpoint))  # type: ignore[arg-type]
        outcome: Outcome = attempt.outcome()
    assert (outcome.verdict, outcome.is_refuted) == (verdict, is_refuted)
    assert note in outcome.note
