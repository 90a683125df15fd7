"""Log lines as typed values: the library's other face, for what a Report does not answer.

Reading a line never raises: what is not understood is an `Unparsed`. Counting works on bytes and makes no such values;
a test holds both to the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailctl.maillog.count import Counting
from mailctl.maillog.daemons import handler_of
from mailctl.maillog.daemons.service import LEVELS
from mailctl.maillog.lines import is_other_line

_QUEUE_ID = r"[0-9A-HJ-NP-TV-Zb-df-hj-np-tv-z]{6,}"
_LINE = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S+) "
    rf"(?P<program>[^\s\[]+)\[(?P<process>\d+)\]: (?:(?P<queue_id>{_QUEUE_ID}): )?(?P<text>.*)",
    re.DOTALL,
)
_ADDRESS = r'(?:[^>"]*|"(?:[^"\\]|\\.)*"[^>]*)'


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

    `delay` is in seconds since arrival, `dsn` an enhanced status code of RFC 3463, `status` Postfix's word: sent,
    deferred, bounced, expired, force-expired, SOFTBOUNCE, and for probes deliverable or undeliverable. `reply` is what
    stands in parentheses: the words of the next host, or Postfix's own.
    """

    line: LogLine
    recipient: str
    original_recipient: str
    relay: str
    delay: float
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


def parse_line(content: bytes | str) -> Event:
    """The event of one line, without its newline.

    >>> event = parse_line(
    ...     "2026-03-01T06:00:00+00:00 mx1 postfix/smtp[7]: 4F0A1B2C: to=<bob@b.example>, "
    ...     "relay=mx.b.example[192.0.2.7]:25, delay=1.2, delays=0.1/0/0.1/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
    ... )
    >>> event.recipient, event.status, event.delay
    ('bob@b.example', 'sent', 1.2)
    >>> parse_line("no log line")
    Unparsed(content='no log line')
    """
    text = content.decode(errors="surrogateescape") if isinstance(content, bytes) else content
    text = text.removesuffix("\n").removesuffix("\r")
    line = log_line(text)
    if line is None:
        return Note(_other_line(text)) if is_other_line(_bytes(text)) else Unparsed(text)
    for parse in _PARSERS.get(line.daemon, ()) if "/" in line.program else ():
        if event := parse(line):
            return event
    return Note(line) if _is_understood(line) else Unparsed(text)


def log_line(text: str) -> LogLine | None:
    """The parts of a line, whether its text is understood or not; None where it has no stamp, host, program."""
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    fields = match.groupdict(default="")
    return LogLine(**{**fields, "process": int(fields["process"][:9])})  # type: ignore[arg-type]


def _other_line(text: str) -> LogLine:
    """The line of a program that is none of Postfix's and leaves out its process id."""
    header = re.match(r"(\d{4}-\S+|.{15}) (\S+) ([^ :\[]+)\S* ?", text, re.DOTALL)
    stamp, host, program = header.groups() if header else ("", "", "")
    return LogLine(stamp, host, program, 0, "", text[header.end() :] if header else text)


def _is_understood(line: LogLine) -> bool:
    """Asks the handler that counts such lines, so that both faces agree on what is understood."""
    handler = handler_of(_bytes(line.program))
    return handler(Counting(), _bytes(line.queue_id), _bytes(line.text))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


_CLIENT = re.compile(r"client=(?P<client>[^,]*)(?P<rest>.*)", re.DOTALL)
_PICKUP = re.compile(r"uid=(?P<uid>\d+) from=<(?P<sender>.*?)>(?: orig_id=(?P<original>\w+))?", re.DOTALL)
_MESSAGE_ID = re.compile(r"message-id=(?P<message_id>.*)", re.DOTALL)
_ACTIVE = re.compile(r"from=<(?P<sender>.*)>, size=(?P<size>\d+), nrcpt=(?P<count>\d+) \(queue active\)", re.DOTALL)
_DELIVERY = re.compile(
    rf"to=<(?P<recipient>{_ADDRESS})>, (?:orig_to=<(?P<original_recipient>{_ADDRESS})>, )?relay=(?P<relay>[^,]*), "
    r"(?:conn_use=\d+, )?delay=(?P<delay>\d+(?:\.\d+)?), (?:[a-z_]+=[^,]*, )*?dsn=(?P<dsn>\d\.\d+\.\d+), "
    r"(?:[a-z_]+=[^,]*, )*?status=(?P<status>[\w-]+)(?: \((?P<reply>.*)\))?",
    re.DOTALL,
)
_NOTICE = re.compile(r"(?P<kind>(?:sender|postmaster) .*?) notification: (?P<notice_id>\w+)")
_EXPIRED = re.compile(r"from=<.*>, status=(?:force-)?expired, .*", re.DOTALL)
_ACTIONS = r"(?:milter-)?(?:reject|hold|discard)|reject_warning|warning|redirect|filter|prepend|replace|info"
_DECISION = re.compile(
    rf"(?:NOQUEUE: )?(?P<action>{_ACTIONS}): (?P<stage>[A-Z-]+) from (?P<client>[^\s]+): (?P<reply>.*)", re.DOTALL
)
_CHECK = re.compile(
    rf"(?P<action>{_ACTIONS}): (?P<stage>(?:mime-|nested-)?(?:header|body) .*) from (?P<client>\S+); from=<.*?>?"
    r"(?:: (?P<reply>.*))?",
    re.DOTALL,
)
_ENDED = re.compile(
    r"(?:NOQUEUE: )?(?P<action>hold|discard): (?P<stage>.*?) from (?P<client>\S+)[:;] ?(?P<reply>.*)", re.DOTALL
)
_FAILED_LOGIN = re.compile(r"warning: (?P<client>\S+): SASL (?P<mechanism>\S+) authentication failed.*", re.DOTALL)


def _connected(line: LogLine) -> Event | None:
    return Connected(line, line.text[13:]) if line.text.startswith("connect from ") and not line.queue_id else None


def _accepted(line: LogLine) -> Event | None:
    if not line.queue_id or not (match := _CLIENT.fullmatch(line.text)):
        return None
    fields = dict(part.split("=", 1) for part in match["rest"].split(", ") if "=" in part)
    names = ("sasl_username", "orig_queue_id", "orig_client")
    return Accepted(line, match["client"], *(fields.get(name, "") for name in names))


def _picked_up(line: LogLine) -> Event | None:
    match = _PICKUP.fullmatch(line.text) if line.queue_id else None
    return match and PickedUp(line, int(match["uid"][:9]), match["sender"], match["original"] or "")


def _message_id(line: LogLine) -> Event | None:
    match = _MESSAGE_ID.fullmatch(line.text) if line.queue_id else None
    return match and MessageId(line, match["message_id"])


def _active(line: LogLine) -> Event | None:
    match = _ACTIVE.fullmatch(line.text) if line.queue_id else None
    return match and Active(line, match["sender"], int(match["size"][:18]), int(match["count"][:9]))


def _delivery(line: LogLine) -> Event | None:
    match = _DELIVERY.fullmatch(line.text) if line.queue_id else None
    if match is None:
        return None
    fields = match.groupdict(default="")
    return Delivery(line, **{**fields, "delay": float(fields["delay"])})  # type: ignore[arg-type]


def _notice(line: LogLine) -> Event | None:
    match = _NOTICE.fullmatch(line.text) if line.queue_id else None
    return match and Notice(line, match["kind"], match["notice_id"])


def _expired(line: LogLine) -> Event | None:
    return Expired(line) if line.queue_id and _EXPIRED.fullmatch(line.text) else None


def _removed(line: LogLine) -> Event | None:
    return Removed(line) if line.queue_id and line.text == "removed" else None


def _held_by_hand(line: LogLine) -> Event | None:
    return Decision(line, "hold", "", "", "") if line.queue_id and line.text.startswith("placed on hold") else None


def _decision(line: LogLine) -> Event | None:
    match = _CHECK.fullmatch(line.text) or _DECISION.fullmatch(line.text) or _ENDED.fullmatch(line.text)
    return match and Decision(line, match["action"], match["stage"], match["client"], match["reply"] or "")


def _login_failed(line: LogLine) -> Event | None:
    match = _FAILED_LOGIN.fullmatch(line.text)
    return match and LoginFailed(line, match["client"], match["mechanism"])


def _complaint(line: LogLine) -> Event | None:
    if line.queue_id or not _bytes(line.text).startswith(LEVELS):
        return None
    level, _, words = line.text.partition(": ")
    return Complaint(line, level, words)


_Parser = Callable[[LogLine], Event | None]
_AGENT: tuple[_Parser, ...] = (_delivery, _complaint)
_PARSERS: dict[str, tuple[_Parser, ...]] = {
    "smtpd": (_connected, _accepted, _decision, _login_failed, _complaint),
    "postscreen": (_decision, _complaint),
    "pickup": (_picked_up, _complaint),
    "cleanup": (_message_id, _decision, _complaint),
    "qmgr": (_active, _removed, _expired, _complaint),
    "bounce": (_notice, _complaint),
    "postsuper": (_removed, _held_by_hand, _complaint),
    **dict.fromkeys(("smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard"), _AGENT),
}
