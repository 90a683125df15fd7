"""Messages: the lines about one queue id, put together from its first line to its removal."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailctl.maillog.events import (
    Accepted,
    Active,
    Complaint,
    Delivery,
    Event,
    LineEvent,
    MessageId,
    Note,
    Notice,
    PickedUp,
    Removed,
    Unparsed,
)
from mailctl.maillog.parse import parse_line
from mailctl.maillog.queue import MAX_OPEN, RECENT, Origin
from mailctl.maillog.source import Source, blocks_of

_Key = tuple[str, str]
"""Host and queue id."""
_QUEUED_AS = re.compile(r"queued as (\w{6,})")
_FORWARDED_AS = re.compile(r"forwarded as (\w+)")


@dataclass(slots=True)
class Message:
    """One message in one queue.

    `client` is `name[address]`, empty for mail from sendmail(1); `sender` and `size` (bytes) are None until the
    message reached the active queue. `stamps` are the first and the last line's, as they stand in the log.
    `notices` are the queue ids of what was made about it or from it: bounces, delay notices, forwards.
    """

    host: str
    queue_id: str
    origin: Origin = Origin.UNKNOWN
    client: str = ""
    username: str = ""
    original_id: str = ""
    message_id: str = ""
    sender: str | None = None
    size: int | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    is_removed: bool = False
    stamps: tuple[str, str] = ("", "")

    def add(self, event: LineEvent) -> None:
        self.stamps = (self.stamps[0] or event.line.stamp, event.line.stamp)
        match event:
            case Active():
                self.sender, self.size = event.sender, event.size
            case MessageId():
                self.message_id = event.message_id
            case Delivery():
                self.deliveries.append(event)
            case Removed():
                self.is_removed = True


def read(source: Source) -> Iterator[Message]:
    """Every message of a log, in the order in which they end; those still in the queue come last.

    A message is held back for a while after its end: what a content filter does with it may show only then.

    >>> log = [
    ...     "2026-03-01T06:00:00+00:00 mx1 postfix/pickup[5]: 4F0A1B2C: uid=0 from=<root>",
    ...     "2026-03-01T06:00:00+00:00 mx1 postfix/qmgr[6]: 4F0A1B2C: "
    ...     "from=<root@a.example>, size=300, nrcpt=1 (queue active)",
    ...     "2026-03-01T06:00:01+00:00 mx1 postfix/qmgr[6]: 4F0A1B2C: removed",
    ... ]
    >>> [(message.sender, message.size, message.origin.value) for message in read(log)]
    [('root@a.example', 300, 'received')]

    Raises:
        LogError: a file cannot be opened or is damaged.
    """
    following = Following()
    for block in blocks_of(source):
        for line in block.split(b"\n")[:-1]:
            yield from following.feed(parse_line(line))
    yield from following.rest()


class Following:
    """Puts events together, by the same rules as counting does."""

    def __init__(self) -> None:
        self._open: dict[_Key, Message] = {}
        self._ended: OrderedDict[_Key, Message] = OrderedDict()

    def feed(self, event: Event) -> Iterator[Message]:
        """Takes one event; gives the messages about which nothing more is to come."""
        if isinstance(event, Unparsed) or not event.line.queue_id:
            return
        key = (event.line.host, event.line.queue_id)
        if isinstance(event, Accepted | PickedUp):
            yield from self._forget(key)
            self._open[key] = _begun(event, *key)
        elif key not in self._open:
            if isinstance(event, Note | Complaint):
                return
            self._open[key] = Message(*key, origin=_origin_of(event))
        message = self._open[key]
        message.add(event)
        self._link(event, message)
        if isinstance(event, Removed):
            self._ended[key] = self._open.pop(key)
        while len(self._ended) > RECENT:
            yield self._ended.popitem(last=False)[1]
        while len(self._open) > MAX_OPEN:
            yield self._open.pop(next(iter(self._open)))

    def rest(self) -> Iterator[Message]:
        """At the end of the log: all that is left."""
        yield from self._ended.values()
        yield from self._open.values()

    def _forget(self, key: _Key) -> Iterator[Message]:
        """An id that is used again ends what had it before."""
        for messages in (self._ended, self._open):
            if key in messages:
                yield messages.pop(key)

    def _link(self, event: Event, message: Message) -> None:
        if isinstance(event, Notice):
            self._made_from(message, event.notice_id)
        elif isinstance(event, Delivery) and event.status == "sent":
            if forwarded := _FORWARDED_AS.match(event.reply):
                self._made_from(message, forwarded[1])
            elif hop := _QUEUED_AS.search(event.reply):
                self._came_back(message.host, hop[1])

    def _made_from(self, message: Message, queue_id: str) -> None:
        message.notices.append(queue_id)
        key = (message.host, queue_id)
        made = self._open.get(key) or self._ended.get(key)
        if made is None:
            self._open[key] = Message(*key, origin=Origin.INTERNAL)
        elif made.origin is Origin.UNKNOWN:
            made.origin = Origin.INTERNAL

    def _came_back(self, host: str, queue_id: str) -> None:
        message = self._open.get((host, queue_id)) or self._ended.get((host, queue_id))
        if message is not None and message.origin is Origin.RECEIVED:
            message.origin = Origin.REINJECTED


def _begun(event: Accepted | PickedUp, host: str, queue_id: str) -> Message:
    if isinstance(event, PickedUp):
        origin = Origin.REINJECTED if event.original_id else Origin.RECEIVED
        return Message(host, queue_id, origin, original_id=event.original_id)
    is_own = event.client.startswith(f"{host}[")
    origin = Origin.REINJECTED if event.original_id or event.original_client or is_own else Origin.RECEIVED
    return Message(host, queue_id, origin, event.client, event.username, event.original_id)


def _origin_of(first: Event) -> Origin:
    """Postfix makes message ids of its own from the queue id."""
    if not isinstance(first, MessageId):
        return Origin.UNKNOWN
    queue_id = first.line.queue_id
    is_ours = f".{queue_id}@" in first.message_id or f"<{queue_id}@" in first.message_id
    return Origin.INTERNAL if is_ours else Origin.UNKNOWN
