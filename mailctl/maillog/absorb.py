"""Adding up a log that was counted in pieces, in their order."""

from __future__ import annotations

from mailctl.maillog.count import Counting
from mailctl.maillog.tally import UNRESOLVED, HourKey, Tally, add_count, is_unresolved


def absorb(counting: Counting, later: Counting) -> None:
    """Add the piece of the log that follows what was counted; it was counted with `first` false."""
    shift = counting.years.follow(later.years)
    if shift:
        _shift_years(later, shift)
    for queue in later.queues.values():
        counting.enter_host(queue.host)
    for hour, host, handler, queue_id, text in later.late:
        counting.enter_hour(hour)
        counting.enter_host(host)
        handler(counting, queue_id, text)
    later_ends = [(passed + shift, line) for passed, line in later.ends]
    counting.ends = [*(counting.ends or later_ends)[:1], *later_ends[1:]] if later_ends else counting.ends
    later.tally.digest()
    _resolve_levels(counting, later.tally)
    counting.tally.add(later.tally)
    for queue in later.queues.values():
        counting.enter_host(queue.host).follow(queue)
    counting.forget_oldest()


def _shift_years(counting: Counting, years: int) -> None:
    def shifted(hour: HourKey) -> HourKey:
        return hour if isinstance(hour, bytes) else (hour[0] + years, hour[1])

    counting.tally.hours = {shifted(hour): counts for hour, counts in counting.tally.hours.items()}
    counting.late = [(shifted(hour), *rest) for hour, *rest in counting.late]  # type: ignore[misc]
    for queue in counting.queues.values():
        for mail in {id(mail): mail for mail in (*queue.mails.values(), *queue.lately().values())}.values():
            mail.hour = shifted(mail.hour)


def _resolve_levels(counting: Counting, tally: Tally) -> None:
    """Which level of TLS a relay had may be known only to who counted the lines before."""
    for name in list(filter(is_unresolved, tally.remote_levels)):
        domain, host, relay = name.split(b"\0")
        queue = counting.enter_host(host[1:])
        level = queue.levels.get(relay, queue.no_level)
        suffix = b"\0" + relay if level.startswith(UNRESOLVED) else b""
        add_count(tally.remote_levels, domain + b"\0" + level + suffix, tally.remote_levels.pop(name))
