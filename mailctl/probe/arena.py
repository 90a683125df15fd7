"""Where a probe stands: the network it speaks from, the server it speaks to, and what it may look at there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath
from typing import Protocol

from mailctl.host import Completed
from mailctl.probe.dialogue import Dialogue, DialogueError, Endpoint, Patience, Reply, Transcript, any_certificate
from mailctl.probe.mailroom import Mailroom
from mailctl.probe.subject import Subject
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target

ANY_CERTIFICATE = any_certificate()


class Family(StrEnum):
    """Address families, by their name in a report."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


class Transport(StrEnum):
    """A port and how TLS begins there, as cases write it."""

    SMTP = "25"
    SMTP_TLS = "25+tls"
    SUBMISSION = "587"
    SUBMISSION_TLS = "587+tls"
    SUBMISSIONS = "465"
    IMAPS = "993"
    IMAP = "143"
    POP3 = "110"

    @property
    def port(self) -> int:
        return int(self.value.partition("+")[0])

    @property
    def starts_tls(self) -> bool:
        """Whether STARTTLS follows the first EHLO."""
        return self.value.endswith("+tls")

    @property
    def is_wrapped(self) -> bool:
        """Whether TLS comes before the greeting, RFC 8314 section 3.3."""
        return self in (Transport.SUBMISSIONS, Transport.IMAPS)


class ServerSide(Protocol):
    """The server from within: what checks that look at files and services need; absent for a remote server."""

    def run(self, argv: Sequence[str | PurePath], *, stdin: bytes = b"", timeout: float = 60) -> Completed: ...

    def path(self, path: PurePosixPath) -> Path: ...


@dataclass(frozen=True)
class Vantage:
    """The place a probe speaks from. Seconds: `patience` for one reply, `limit` for the whole run.

    `sources` gives the addresses to speak from; each dialogue takes the next one, since servers count per client.
    `pace` is the shortest time between two connections where there is only one of them.
    """

    addresses: Mapping[Family, str]
    sources: Mapping[Family, Iterator[str]] = field(default_factory=dict)
    patience: float = 8.0
    limit: float = 60.0
    pace: float = 0.0
    trusted_roots: Path | None = None

    def endpoint(self, port: int, family: Family = Family.IPV4) -> Endpoint:
        source = next(self.sources[family]) if family in self.sources else ""
        return Endpoint(self.addresses[family], port, source)


@dataclass(frozen=True)
class Arena:
    """Everything a check may use; what is None or empty it has to do without, and says so.

    Moments are those of time.monotonic: the run ends at `deadline`; the server knows passwords from `logins_from` on.
    """

    vantage: Vantage
    subject: Subject
    deadline: float
    open_ports: frozenset[tuple[int, Family]] = frozenset()
    spec: Spec | None = None
    target: Target = DEBIAN_12
    server: ServerSide | None = None
    mailroom: Mailroom | None = None
    logins_from: float = 0.0

    def connect(
        self, transcript: Transcript, transport: Transport, family: Family = Family.IPV4, *, source: str = ""
    ) -> Dialogue:
        """A connection that has not been greeted yet; `source` is our address, a fresh one where empty.

        Raises:
            DialogueError: nobody there.
        """
        time.sleep(self.vantage.pace)
        endpoint = self.vantage.endpoint(transport.port, family)
        if source:
            endpoint = Endpoint(endpoint.address, endpoint.port, source)
        return Dialogue(endpoint, Patience(self.vantage.patience, self.deadline), transcript)

    def greet(self, dialogue: Dialogue, transport: Transport) -> None:
        """Everything up to the first command of a client: greeting, EHLO, TLS, EHLO again.

        Raises:
            DialogueError: the server does not go along.
        """
        self.approach_tls(dialogue, transport)
        if transport.starts_tls or transport.is_wrapped:
            dialogue.start_tls(ANY_CERTIFICATE)
        if transport.is_wrapped:
            expect(dialogue.reply(), 220)
        if transport.starts_tls or transport.is_wrapped:
            self.hello(dialogue)

    def approach_tls(self, dialogue: Dialogue, transport: Transport) -> None:
        """Everything before the TLS handshake; nothing, where TLS comes first."""
        if transport.is_wrapped:
            return
        expect(dialogue.reply(), 220)
        self.hello(dialogue)
        if transport.starts_tls:
            expect(dialogue.command("STARTTLS"), 220)

    def hello(self, dialogue: Dialogue) -> Reply:
        """EHLO and what the server offers."""
        return expect(dialogue.command(f"EHLO {self.subject.names['helo']}"), 250)

    def log_in(self, dialogue: Dialogue, login: str) -> None:
        """Authenticate with the password the subject knows, once the server does.

        Raises:
            DialogueError: it is refused.
        """
        time.sleep(max(0.0, self.logins_from - time.monotonic()))
        expect(dialogue.log_in(login, self.subject.passwords[login]), 235)

    def is_open(self, transport: Transport, family: Family = Family.IPV4) -> bool:
        return (transport.port, family) in self.open_ports

    @property
    def families(self) -> tuple[Family, ...]:
        return tuple(self.vantage.addresses)

    def wait_until(self, holds: Callable[[], bool], timeout: float = 15.0) -> bool:
        """Ask `holds` until it is true, for `timeout` seconds or what is left of the run; the last answer."""
        until = min(time.monotonic() + timeout, self.deadline)
        while not holds():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True


def expect(reply: Reply, code: int) -> Reply:
    """The reply itself, where it has this code.

    Raises:
        DialogueError: it has another.
    """
    if reply.code != code:
        raise DialogueError(f"expected {code}, got {str(reply)!r}")
    return reply
