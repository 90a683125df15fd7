"""Counting: blocks of whole lines in, a Tally out; no object for each line.

Lines of the usual kinds are counted as `usual` finds them; the text of others goes to the handler of their program,
which looks at it from the left, as far as needed. What Postfix logs about a queue id counts by what the queue knows of
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailctl.maillog.daemons import handler_of
from mailctl.maillog.lines import QUEUE_ID, by_hour, hour_length, is_other_line, parts_of, share_hour
from mailctl.maillog.queue import RECENT, Mail, Origin, Queue
from mailctl.maillog.stamps import Years, hour_of
from mailctl.maillog.tally import MESSAGE, RECEIVED, UNRESOLVED, HourKey, Tally, add_count
from mailctl.maillog.usual import Row, count_rows, rows_of
from mailctl.maillog.window import Window

Handler = Callable[["Counting", bytes, bytes], bool]
"""Counts one line: the queue id (empty where there is none) and the text after it. False: not understood."""

_REPEATED = re.compile(rb"message repeated (\d{1,6}) times: \[ ?(.*?) ?\]", re.DOTALL)
_TEXT = re.compile(rb"(?:(" + QUEUE_ID + rb"): )?(.*)", re.DOTALL)
MAX_HOSTS = 5_000
"""Hosts of one log whose messages are followed; beyond it those met first are given up, so memory stays bounded."""
_STAMP = 40  # bytes of a line that hold its stamp

Late = tuple[HourKey, bytes, Handler, bytes, bytes]
"""A line that only who knows the lines before can count: hour, host, handler, queue id, text."""


class _Handlers(dict[bytes, Handler]):
    """The handler of each program seen so far."""

    def __missing__(self, program: bytes) -> Handler:
        found = handler_of(program)
        if len(self) < 1000:  # names come from the log
            self[program] = found
        return found


class Counting:
    """Counts the lines of a log, or of a piece of it.

    A piece that does not begin the log (`first` false) keeps in `late` what depends on the lines before it; `absorb`
    counts that, so that pieces counted apart add up to exactly the whole.
    `ends` has the beginnings of the first and the last line with a stamp, each with the years passed there.
    """

    def __init__(
        self,
        first: bool = True,
        on_unparsed: Callable[[bytes], None] | None = None,
        window: Window | None = None,
        base_year: int = 0,
        tally: Tally | None = None,
    ) -> None:
        """`window` limits what is counted; the lines outside still tell what messages are. `base_year`: see Years.

        What is counted is added to `tally`.
        """
        self.first = first
        self.inside = True
        self.tally = tally or Tally()
        self.queues: dict[bytes, Queue] = {}
        self.years = Years()
        self.late: list[Late] = []
        self._on_unparsed = on_unparsed
        self._window = window
        self._base_year = base_year
        self._tallies = {True: self.tally, False: Tally()}
        self.hour: HourKey = b""
        self.hour_counts = [0] * 5  # of no hour: lines before the first stamp
        self.queue = Queue(b"")
        self.ends: list[tuple[int, bytes]] = []
        self.totals = self.tally.totals
        self._handlers = _Handlers()

    def feed(self, block: bytes) -> None:
        """Count whole lines, each ending in a newline."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        rows = rows_of(block)
        if share_hour(block, len(rows)):
            self._feed_hour(block, rows)
        else:
            for lines in by_hour(block):
                self._feed_hour(lines, rows_of(lines))
        self.forget_oldest()
        self._enter_side(inside=True)  # a log may end outside the period asked for
        for tally in self._tallies.values():
            tally.limit()

    def _feed_hour(self, lines: bytes, rows: list[Row]) -> None:
        """Count lines whose stamps share an hour, or that have none."""
        hour = hour_of(lines[: hour_length(lines)], self.years)
        if hour is None:
            self.tally.lines += len(rows)
            for line in lines.split(b"\n")[:-1]:
                self._miss(line)
        elif self._window is None:
            self._feed_stamped(hour, lines, rows)
        else:
            for inside, part in self._window.split(lines, self._base_year + self.years.passed):
                self._enter_side(inside)
                self._feed_stamped(hour, part, rows if part is lines else rows_of(part))

    def _feed_stamped(self, hour: HourKey, lines: bytes, rows: list[Row]) -> None:
        self.tally.lines += len(rows)
        self.enter_hour(hour)
        if self.inside:
            self._note_ends(lines)
        count_rows(self, rows)

    def count_line(self, line: bytes) -> None:
        """A line that is none of the usual ones."""
        parts = parts_of(line)
        if parts is None:
            if not is_other_line(line):
                self._miss(line)
            return
        host, program, queue_id, text = parts
        self.enter_host(host)
        if not self._handlers[program](self, queue_id, text):
            self._miss(line)

    def _miss(self, line: bytes) -> None:
        self.tally.unparsed += 1
        if self._on_unparsed is not None and self.inside:
            self._on_unparsed(line)

    def _enter_side(self, inside: bool) -> None:
        self.inside = inside
        self.tally = self._tallies[inside]
        self.totals = self.tally.totals

    def _note_ends(self, lines: bytes) -> None:
        last = lines.rfind(b"\n", 0, -1) + 1
        if not self.ends:
            self.ends = [(self.years.passed, lines[:_STAMP])]
        self.ends[1:] = [(self.years.passed, lines[last : last + _STAMP])]

    def enter_hour(self, hour: HourKey) -> None:
        self.hour = hour
        counts = self.tally.hours.get(hour)
        if counts is None:
            counts = self.tally.hours[hour] = [0] * 5
        self.hour_counts = counts

    def enter_host(self, host: bytes) -> Queue:
        queue = self.queues.get(host)
        if queue is None:
            queue = self.queues[host] = Queue(host)
            if not self.first:
                queue.no_level = UNRESOLVED + host
        self.queue = queue
        return queue

    def forget_oldest(self) -> None:
        """Keep what is followed within its limits."""
        for queue in self.queues.values():
            queue.forget_oldest()
        if len(self.queues) > MAX_HOSTS:
            self.queues = dict(list(self.queues.items())[-MAX_HOSTS // 2 :])
            self.queues[self.queue.host] = self.queue

    # What handlers call.

    def find(self, handler: Handler, queue_id: bytes, text: bytes) -> Mail | None:
        """The message a line is about. None: its beginning lies before this piece; the line is kept for later."""
        mail = self.queue.mails.get(queue_id)
        if mail is not None:
            return mail
        if self.first:
            return self.queue.take(queue_id, Origin.UNKNOWN)
        self.put_off(handler, queue_id, text)
        return None

    def put_off(self, handler: Handler, queue_id: bytes, text: bytes) -> None:
        self.late.append((self.hour, self.queue.host, handler, queue_id, text))

    def activate(self, mail: Mail, sender: bytes, size: int) -> None:
        """A message reached the active queue; only the first time counts."""
        mail.size = total = MESSAGE + size
        mail.sender = sender
        if mail.active:
            return
        mail.active = True
        mail.hour = self.hour
        if not self.inside:
            mail.inside = False
        if mail.origin is Origin.RECEIVED:  # nearly all
            self.hour_counts[RECEIVED] += 1
            senders = self.tally.senders
            senders[sender] = senders.get(sender, 0) + total
        else:
            self._count_origin(mail, 1)

    def set_origin(self, mail: Mail, origin: Origin) -> None:
        """A later line tells where a message came from."""
        if mail.active:
            self._count_origin(mail, -1)
        mail.origin = origin
        if mail.active:
            self._count_origin(mail, 1)

    def _count_origin(self, mail: Mail, sign: int) -> None:
        tally = self._tallies[mail.inside]
        if mail.origin is Origin.RECEIVED:
            add_count(tally.senders, mail.sender, sign * mail.size)
            tally.hours.setdefault(mail.hour, [0] * 5)[RECEIVED] += sign
        elif mail.origin is not Origin.UNKNOWN:
            tally.totals[mail.origin.value] += sign

    def link_hop(self, queue_id: bytes) -> None:
        """A delivery whose reply names `queue_id`: it is ours when this host took a message of that name lately."""
        queue = self.queue
        mail = queue.recently_taken(queue_id)
        if mail is not None:
            self.hop_to(mail)
        elif not self.first and queue.taken < RECENT:
            self.put_off(late_hop, queue_id, b"%d" % queue.taken)

    def hop_to(self, mail: Mail) -> None:
        self.totals["delivered_hops"] += 1
        if mail.origin is Origin.RECEIVED:
            self.set_origin(mail, Origin.REINJECTED)

    def link_made_here(self, queue_id: bytes) -> None:
        """Postfix made another message under this id; its own lines may come before or after."""
        mail = self.queue.mails.get(queue_id) or self.queue.recently_taken(queue_id)
        if mail is not None:
            if mail.origin is Origin.UNKNOWN:
                self.set_origin(mail, Origin.INTERNAL)
        elif self.first:
            self.queue.take(queue_id, Origin.INTERNAL)
        else:
            self.put_off(late_link, queue_id, b"")

    def repeated(self, handler: Handler, text: bytes) -> bool:
        """`message repeated N times: [ text ]` counts N times."""
        match = _REPEATED.fullmatch(text)
        inner = match and _TEXT.fullmatch(match[2])
        if not match or not inner or match[2].startswith(b"message repeated "):
            return False
        return all(handler(self, inner[1] or b"", inner[2]) for _ in range(int(match[1])))


def late_hop(counting: Counting, queue_id: bytes, taken: bytes) -> bool:
    """A hop from the beginning of a piece, `taken` messages into it."""
    queue = counting.queue
    mail = queue.recently_taken(queue_id, queue.taken + int(taken))
    if mail is not None:
        counting.hop_to(mail)
    return True


def late_link(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    counting.link_made_here(queue_id)
    return True
