"""Sections that are added to the text report on request, as pflogsumm does: message detail, connection times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from mailctl.maillog.connections import Stay, Stays
from mailctl.maillog.formats import numbers
from mailctl.maillog.formats.safe import printable
from mailctl.maillog.messages import Message
from mailctl.maillog.rename import without_bang_path


def message_detail(messages: Iterable[Message], rename: Callable[[str], str]) -> str:
    """A few lines for each message, by the sender's domain, then by its name there, then by queue id.

    Args:
        rename: what an address is shown as.
    """
    known = [message for message in messages if message.sender is not None]
    lines = ["Message detail", *("  none" for _ in range(not known))]
    for message in sorted(known, key=_place):
        lines += _message(message, rename)
    return "\n".join(lines)


def _place(message: Message) -> tuple[str, str, str]:
    # As it was before a gateway rewrote it: its own domain is where it belongs.
    user, _, domain = without_bang_path(message.sender or "").rpartition("@")
    return domain.lower(), user.rpartition("!")[2], message.queue_id


def _message(message: Message, rename: Callable[[str], str]) -> Iterator[str]:
    sender = printable(rename(message.sender or "")) or "<>"
    client = f" from {printable(message.client)}" if message.client else ""
    yield f"  {message.queue_id}  {sender}  {numbers.size(message.size or 0)}{client}"
    for delivery in message.deliveries:
        where = f"{delivery.status} after {numbers.seconds(delivery.delay)} by {printable(delivery.relay)}"
        yield f"      {printable(rename(delivery.recipient))}  {where}: {printable(delivery.reply)}"


def connection_times(stays: Stays, most: int) -> str:
    """Connections to smtpd that have ended: in all, by hour of the day, and of the clients with most of them."""
    lines = ["SMTP connections that ended", f"  {_HEADER}", f"  {_stay(stays.total)}  in all"]
    lines += [f"  {_stay(stay)}  {hour:02}:00-{hour + 1:02}:00" for hour, stay in sorted(stays.by_hour.items())]
    ordered = sorted(stays.by_client.items(), key=lambda item: (-item[1].connections, item[0]))
    lines += [f"  {_stay(stay)}  {printable(name)}" for name, stay in ordered[:most]]
    if len(ordered) > most:
        lines.append(f"  {'':44}  and {numbers.count(len(ordered) - most)} more")
    return "\n".join(lines)


_HEADER = f"{'connections':>11}{'time':>12}{'average':>10}{'longest':>11}"


def _stay(stay: Stay) -> str:
    average = stay.time / stay.connections if stay.connections else timedelta()
    times = f"{_clock(stay.time):>12}{_clock(average):>10}{_clock(stay.longest):>11}"
    return f"{numbers.count(stay.connections):>11}{times}"


def _clock(time: timedelta) -> str:
    seconds = round(time.total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
