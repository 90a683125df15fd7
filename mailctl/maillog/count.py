"""Counting: blocks of whole lines in, a Tally out; no object for each line.

One regular expression takes all lines of a block apart at once, then the handler of each line's program looks at
the text from the left, as far as needed. What Postfix logs about a queue id counts by what the queue knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby

from mailctl.maillog.daemons import handler_of
from mailctl.maillog.queue import RECENT, Mail, Origin, Queue
from mailctl.maillog.stamps import BSD_HOUR, RFC3339_HOUR, Years, hour_of
from mailctl.maillog.tally import DELIVERED, RECEIVED, UNRESOLVED, HourKey, Tally, add_size
from mailctl.maillog.window import Window

Handler = Callable[["Counting", bytes, bytes], bool]
"""Counts one line: the queue id (empty where there is none) and the text after it. False: not understood."""

_QUEUE_ID = rb"[0-9A-HJ-NP-TV-Zb-df-hj-np-tv-z]{6,}"
_BODY = rb" ([^ \n]+) ([^ [\n]+)\[\d+\]: (?:(" + _QUEUE_ID + rb"): )?([^\n]{0,16384})[^\n]*|([^\n]*))\n"
_RFC3339_LINES = re.compile(rb"(?:[^\n]{13}:[^ \n]+" + _BODY)
_BSD_LINES = re.compile(rb"(?:[^\n]{15}" + _BODY)
_OTHER_LINE = re.compile(rb"(?:[^\n]{15}|\d{4}-\S+) \S+ ([^ :[]+)(?:\[[^]]*\])?:(?: .*)?", re.DOTALL)
_REPEATED = re.compile(rb"message repeated (\d{1,6}) times: \[ ?(.*?) ?\]", re.DOTALL)
_TEXT = re.compile(rb"(?:(" + _QUEUE_ID + rb"): )?(.*)", re.DOTALL)

_Row = tuple[bytes, bytes, bytes, bytes, bytes]
"""Host, program, queue id or nothing, text; or nothing of these, and the line."""
_STAMP = 40  # bytes; no stamp is longer

Late = tuple[HourKey, bytes, Handler, bytes, bytes]
"""A line that only who knows the lines before can count: hour, host, handler, queue id, text."""


class Handlers(dict[bytes, Handler]):
    """The handler of each program seen so far."""

    def __missing__(self, program: bytes) -> Handler:
        handler = handler_of(program)
        if len(self) < 1000:  # names come from the log
            self[program] = handler
        return handler


class Counting:
    """Counts the lines of a log, or of a piece of it.

    A piece that does not begin the log (`first` false) keeps in `late` what depends on the lines before it;
    `absorb` of the counting before counts that, so that pieces counted apart add up to exactly the whole.
    `ends` has the beginnings of the first and the last line with a stamp, each with the years passed there.
    """

    def __init__(
        self,
        first: bool = True,
        on_unparsed: Callable[[bytes], None] | None = None,
        window: Window | None = None,
        base_year: int = 0,
    ) -> None:
        """`window` limits what is counted; the lines outside still tell what messages are. `base_year`: see Years."""
        self.first = first
        self.inside = True
        self.tally = Tally()
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
        self._handlers = Handlers()

    def feed(self, block: bytes) -> None:
        """Count whole lines, each ending in a newline."""
        if b"\r\n" in block:
            block = block.replace(b"\r\n", b"\n")
        for lines in by_hour(block):
            self._feed_hour(lines)
        for queue in self.queues.values():
            queue.forget_oldest()
        self._enter_side(inside=True)  # a log may end outside the period asked for
        for tally in self._tallies.values():
            tally.limit()

    def _feed_hour(self, lines: bytes) -> None:
        """Count lines whose stamps share an hour, or that have none."""
        is_bsd = not lines[:1].isdigit()
        hour = hour_of(lines[: BSD_HOUR if is_bsd else RFC3339_HOUR], self.years)
        pattern = _BSD_LINES if is_bsd else _RFC3339_LINES
        if hour is None:
            self._miss(lines.split(b"\n")[:-1])
        elif self._window is None:
            self._feed_rows(hour, lines, pattern.findall(lines))
        else:
            for inside, part in self._window.split(lines, self._base_year + self.years.passed):
                self._enter_side(inside)
                self._feed_rows(hour, part, pattern.findall(part))

    def _feed_rows(self, hour: HourKey, lines: bytes, rows: list[_Row]) -> None:
        self.enter_hour(hour)
        if self.inside:
            self._note_ends(lines)
        handlers = self._handlers
        current = self.queue.host
        misses = []
        for number, (host, program, queue_id, text, rest) in enumerate(rows):
            if host != current and host:
                self.enter_host(host)
                current = host
            if not (handlers[program](self, queue_id, text) if program else is_other_line(rest)):
                misses.append(number)
        self.tally.lines += len(rows) - len(misses)
        if misses:
            all_lines = lines.split(b"\n")
            self._miss([all_lines[number] for number in misses])

    def _miss(self, lines: list[bytes]) -> None:
        self.tally.lines += len(lines)
        self.tally.unparsed += len(lines)
        if self._on_unparsed is not None and self.inside:
            for line in lines:
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

    def enter_host(self, host: bytes) -> None:
        queue = self.queues.get(host)
        if queue is None:
            queue = self.queues[host] = Queue(host)
            if not self.first:
                queue.no_level = UNRESOLVED + host
        self.queue = queue

    # What handlers call.

    def find(self, handler: Handler, queue_id: bytes, text: bytes) -> Mail | None:
        """The message a line is about. None: its beginning lies before this piece; the line is kept for later."""
        mail = self.queue.mails.get(queue_id)
        if mail is not None:
            return mail
        if self.first:
            return self.queue.adopt(queue_id)
        self.put_off(handler, queue_id, text)
        return None

    def put_off(self, handler: Handler, queue_id: bytes, text: bytes) -> None:
        self.late.append((self.hour, self.queue.host, handler, queue_id, text))

    def activate(self, mail: Mail, sender: bytes, size: int) -> None:
        """A message reached the active queue; only the first time counts."""
        mail.size = size
        mail.sender = sender
        if not mail.active:
            mail.active = True
            mail.hour = self.hour
            mail.inside = self.inside
            if mail.origin is Origin.RECEIVED:  # nearly all
                self.totals["received"] += 1
                self.totals["bytes_received"] += size
                self.hour_counts[RECEIVED] += 1
                add_size(self.tally.senders, sender, 1, size)
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
        if mail.origin is Origin.UNKNOWN:
            return
        tally = self._tallies[mail.inside]
        tally.totals[mail.origin.value] += sign
        if mail.origin is Origin.RECEIVED:
            tally.totals["bytes_received"] += sign * mail.size
            add_size(tally.senders, mail.sender, sign, sign * mail.size)
            tally.hours.setdefault(mail.hour, [0] * 5)[RECEIVED] += sign

    def delivered(self, mail: Mail) -> None:
        self.totals["delivered"] += 1
        self.totals["bytes_delivered"] += mail.size
        self.hour_counts[DELIVERED] += 1

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

    def absorb(self, later: Counting) -> None:
        """Add the piece of the log that follows this one; it was counted with `first` false."""
        shift = self.years.follow(later.years)
        if shift:
            later.shift_years(shift)
        for queue in later.queues.values():
            self.enter_host(queue.host)
        for hour, host, handler, queue_id, text in later.late:
            self.enter_hour(hour)
            self.enter_host(host)
            handler(self, queue_id, text)
        later_ends = [(passed + shift, line) for passed, line in later.ends]
        self.ends = [*(self.ends or later_ends)[:1], *later_ends[1:]] if later_ends else self.ends
        later.tally.digest()
        self._resolve_levels(later.tally)
        self.tally.add(later.tally)
        for queue in later.queues.values():
            self.queues[queue.host].follow(queue)

    def shift_years(self, years: int) -> None:
        def shifted(hour: HourKey) -> HourKey:
            return hour if isinstance(hour, bytes) else (hour[0] + years, hour[1])

        self.tally.hours = {shifted(hour): counts for hour, counts in self.tally.hours.items()}
        self.late = [(shifted(hour), *rest) for hour, *rest in self.late]  # type: ignore[misc]
        for queue in self.queues.values():
            for mail in [*queue.mails.values(), *queue.recent.values()]:
                mail.hour = shifted(mail.hour)

    def _resolve_levels(self, tally: Tally) -> None:
        for name in [name for name in tally.remote_levels if b"\0" + UNRESOLVED in name]:
            domain, host, relay = name.split(b"\0")
            queue = self.queues[host[1:]]
            level = queue.levels.get(relay, queue.no_level)
            suffix = b"\0" + relay if level.startswith(UNRESOLVED) else b""
            resolved = domain + b"\0" + level + suffix
            tally.remote_levels[resolved] = tally.remote_levels.get(resolved, 0) + tally.remote_levels.pop(name)


def late_hop(counting: Counting, queue_id: bytes, taken: bytes) -> bool:
    """A hop from the beginning of a piece, `taken` messages into it."""
    queue = counting.queue
    mail = queue.recent.get(queue_id)
    if mail is not None and queue.taken + int(taken) - mail.number < RECENT:
        counting.hop_to(mail)
    return True


def late_link(counting: Counting, queue_id: bytes, text: bytes) -> bool:
    counting.link_made_here(queue_id)
    return True


def is_other_line(line: bytes) -> bool:
    """A line of another program. Daemons of Postfix have a process id in brackets; what has none is not theirs."""
    match = _OTHER_LINE.fullmatch(line)
    return match is not None and not match[1].startswith(b"postfix")


def by_hour(block: bytes) -> Iterator[bytes]:
    """The lines of a block in their order, those with stamps of one hour at a time."""
    prefix = block[: _hour_length(block)]
    if prefix and block.count(b"\n" + prefix) == block.count(b"\n") - 1:
        yield block
        return
    for _, group in groupby(block.split(b"\n")[:-1], key=lambda line: line[: _hour_length(line)]):
        yield b"\n".join(group) + b"\n"


def _hour_length(line: bytes) -> int:
    return RFC3339_HOUR if line[:1].isdigit() else BSD_HOUR
