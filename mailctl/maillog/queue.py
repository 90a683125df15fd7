"""What is known of messages while they are in the queue of one host; counting asks nothing else about the past."""

from __future__ import annotations

from enum import Enum

from mailctl.maillog.tally import MESSAGE, HourKey

RECENT = 1024
"""A hop links its `queued as ID` to a message among the last so many that this host took."""

MAX_OPEN = 200_000
"""Messages followed at once on one host; beyond it the oldest are given up, so memory stays bounded."""


MAX_RELAYS = 20_000
"""Relays of one host whose TLS is remembered; beyond it those met first are forgotten."""


class Origin(Enum):
    """Where a message came from. UNKNOWN: its first lines are not in the log."""

    UNKNOWN = "unknown"
    RECEIVED = "received"
    REINJECTED = "reinjected"
    INTERNAL = "internal"


class Mail:
    """One message in the queue; `number` is its place in the order of the log, `size` counts as in Sizes.

    Most fields keep their default for most messages, so those stand in the class: one is made for each message.
    """

    origin = Origin.RECEIVED
    number = 0
    active = False
    sender = b""
    size = MESSAGE
    hour: HourKey = b""
    inside = True
    deferred: set[bytes] | None = None


class Queue:
    """The messages of one host.

    `taken` counts the messages seen in this log; it orders them for RECENT. Those taken last are in `recent`,
    or, while that fills up, in `former`.
    `levels` holds the level of the last TLS connection to each relay, as `relay=` names it; `no_level` is that of
    a relay without one. `by_name` counts what postsuper(1) did to messages it named, until its summary.
    """

    __slots__ = ("by_name", "former", "host", "levels", "mails", "no_level", "own_client", "recent", "taken")

    def __init__(self, host: bytes) -> None:
        self.host = host
        self.own_client = b"=" + host + b"["
        self.mails: dict[bytes, Mail] = {}
        self.recent: dict[bytes, Mail] = {}
        self.former: dict[bytes, Mail] = {}
        self.taken = 0
        self.levels: dict[bytes, bytes] = {}
        self.no_level = b""
        self.by_name: dict[str, int] = {}

    def take(self, queue_id: bytes, origin: Origin) -> Mail:
        """A message seen for the first time; an older one of the same id has ended unseen."""
        recent = self.recent
        mail = self.mails[queue_id] = recent[queue_id] = Mail()
        mail.number = self.taken = self.taken + 1
        if origin is not Origin.RECEIVED:
            mail.origin = origin
        if len(recent) >= RECENT:
            self.former, self.recent = recent, {}
        return mail

    def recently_taken(self, queue_id: bytes, taken: int | None = None) -> Mail | None:
        """The message of that id, if it was among the last RECENT when `taken` messages were, or as many as now."""
        mail = self.recent.get(queue_id) or self.former.get(queue_id)
        if mail is None or (self.taken if taken is None else taken) - mail.number >= RECENT:
            return None
        return mail

    def lately(self) -> dict[bytes, Mail]:
        """The last RECENT messages taken, and perhaps some before."""
        return {**self.former, **self.recent}

    def follow(self, later: Queue) -> None:
        """Take over what a later piece of the log knows of this host."""
        fresh = {id(mail): mail for mail in (*later.mails.values(), *later.lately().values())}
        for mail in fresh.values():
            mail.number += self.taken
        self.taken += later.taken
        self.mails.update(later.mails)
        self.levels.update(later.levels)
        for name, count in later.by_name.items():
            self.by_name[name] = self.by_name.get(name, 0) + count
        lately = {**self.lately(), **later.lately()}
        self.former = {key: mail for key, mail in lately.items() if self.taken - mail.number < RECENT}
        self.recent = {}

    def forget_oldest(self) -> None:
        """Give up what was abandoned before it reached the queue, then the oldest; of relays those met first."""
        if len(self.levels) > MAX_RELAYS:
            self.levels = dict(list(self.levels.items())[-MAX_RELAYS // 2 :])
        if len(self.mails) <= MAX_OPEN:
            return
        horizon = self.taken - RECENT
        self.mails = {key: mail for key, mail in self.mails.items() if mail.active or mail.number > horizon}
        for key in list(self.mails)[: max(0, len(self.mails) - MAX_OPEN // 2)]:
            del self.mails[key]
