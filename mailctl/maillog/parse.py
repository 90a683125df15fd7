"""From a log line to its event.

Reading a line never raises: what is not understood is an `Unparsed`. A test holds events and counting to the same
numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailctl.maillog.count import Counting
from mailctl.maillog.daemons import handler_of
from mailctl.maillog.daemons.service import LEVELS
from mailctl.maillog.events import (
    Accepted,
    Active,
    Complaint,
    Connected,
    Decision,
    Delivery,
    Event,
    Expired,
    LoginFailed,
    LogLine,
    MessageId,
    Note,
    Notice,
    PickedUp,
    Removed,
    Unparsed,
)
from mailctl.maillog.lines import is_other_line

_QUEUE_ID = r"[0-9A-HJ-NP-TV-Zb-df-hj-np-tv-z]{6,}"
_LINE = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S+) "
    rf"(?P<program>[^\s\[]+)\[(?P<process>\d+)\]: (?:(?P<queue_id>{_QUEUE_ID}): )?(?P<text>.*)",
    re.DOTALL,
)
_ADDRESS = r'(?:[^>"]*|"(?:[^"\\]|\\.)*"[^>]*)'


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
    r"(?:conn_use=\d+, )?delay=(?P<delay>\d+(?:\.\d+)?), "
    r"(?:delays=(?P<delays>[^,]*), )?(?:tls=(?P<tls>[^,]*), )?(?:(?!dsn=)[a-z_]+=[^,]*, )*+dsn=(?P<dsn>\d\.\d+\.\d+), "
    r"(?:(?!status=)[a-z_]+=[^,]*, )*+status=(?P<status>[\w-]+)(?: \((?P<reply>.*)\))?",
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
