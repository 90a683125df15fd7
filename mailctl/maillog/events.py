"""What log lines tell, as typed values: the library's other face, for what a Report does not answer.

`parse` makes them; counting works on bytes and makes none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """What every line has; `stamp` as it stands there, `queue_id` empty where the line is about no message."""

    stamp: str
    host: str
    program: str
    process: int
    queue_id: str
    text: str

    @property
    def daemon(self) -> str:
        """`smtpd` of `postfix/submission/smtpd`."""
        return self.program.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Connected:
    """smtpd(8) took a connection."""

    line: LogLine
    client: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """smtpd(8) took the first recipient of a message; `original_id` is its queue id before a content filter."""

    line: LogLine
    client: str
    username: str
    original_id: str
    original_client: str


@dataclass(frozen=True, slots=True)
class PickedUp:
    """pickup(8) took a message from sendmail(1), or from postsuper(1) as `original_id`."""

    line: LogLine
    user_id: int
    sender: str
    original_id: str


@dataclass(frozen=True, slots=True)
class MessageId:
    """cleanup(8) read the header Message-ID."""

    line: LogLine
    message_id: str


@dataclass(frozen=True, slots=True)
class Active:
    """qmgr(8) put a message on the active queue, once for each round of attempts; `size` is in bytes."""

    line: LogLine
    sender: str
    size: int
    recipients: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt for one recipient.

    `delay` is in seconds since arrival, `delays` the same by stage, `tls` the policy (Postfix 3.11), `dsn` an enhanced
    status code of RFC 3463, `status` Postfix's word: sent, deferred, bounced, expired, force-expired, SOFTBOUNCE, and
    for probes deliverable or undeliverable. `reply` is what stands in parentheses: the words of the next host, or
    Postfix's own.
    """

    line: LogLine
    recipient: str
    original_recipient: str
    relay: str
    delay: float
    delays: str
    tls: str
    dsn: str
    status: str
    reply: str


@dataclass(frozen=True, slots=True)
class Notice:
    """bounce(8) made a message about this one: `kind` is `sender non-delivery`, `postmaster delay` and the like."""

    line: LogLine
    kind: str
    notice_id: str


@dataclass(frozen=True, slots=True)
class Expired:
    """qmgr(8) gave a message up because of its age or by force."""

    line: LogLine


@dataclass(frozen=True, slots=True)
class Removed:
    """The message left the queue."""

    line: LogLine


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy spoke: `action` is reject, milter-reject, reject_warning, hold, discard and the like.

    `stage` is the command (`RCPT`) or the part of the message (`header Subject: x`) it was about.
    """

    line: LogLine
    action: str
    stage: str
    client: str
    reply: str


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A client offered wrong credentials."""

    line: LogLine
    client: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """A warning, error, fatal or panic line."""

    line: LogLine
    level: str
    words: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line that is understood and says nothing to count."""

    line: LogLine


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A line that nothing matches, as it stands."""

    content: str


LineEvent = (
    Connected
    | Accepted
    | PickedUp
    | MessageId
    | Active
    | Delivery
    | Notice
    | Expired
    | Removed
    | Decision
    | LoginFailed
    | Complaint
    | Note
)
Event = LineEvent | Unparsed
