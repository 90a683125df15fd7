"""The queue: how much waits, for how long, and for what reason most of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailctl.doctor.model import Finding, Patient, Verdict, fail, ok
from mailctl.errors import printable

SECONDS = 10.0
MANY = 1000  # messages; a healthy server of that size is rare
OLD = timedelta(hours=4)  # delay_warning_time: the sender gets a note
VERY_OLD = timedelta(days=2)  # bounces follow after maximal_queue_lifetime, 5 days
LONGEST_REASON = 160


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages by queue, the oldest of all, and why most of the deferred ones wait."""

    counts: Counter[str]
    oldest_id: str
    oldest: datetime
    reason: str

    @classmethod
    def parse(cls, text: bytes) -> Queue:
        """From the lines of `postqueue -j`; a line that is cut is left out."""
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        oldest_id, oldest = "", float("inf")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                name, arrival, queue_id = str(entry["queue_name"]), float(entry["arrival_time"]), str(entry["queue_id"])
                found = [str(each["delay_reason"]) for each in entry["recipients"] if "delay_reason" in each]
            except (ValueError, KeyError, TypeError):
                continue
            counts[name] += 1
            reasons.update(found[:1])
            if arrival < oldest and name != "hold":
                oldest_id, oldest = queue_id, arrival
        moment = datetime.fromtimestamp(oldest, UTC) if oldest_id else datetime.now(UTC)
        return cls(counts, oldest_id, moment, next((reason for reason, _ in reasons.most_common(1)), ""))


def look(patient: Patient) -> Iterator[Finding]:
    done = patient.host.run(["postqueue", "-j"], timeout=SECONDS)
    if done.returncode:
        yield fail("queue", f"it cannot be read: {printable(done.complaint.partition(chr(10))[0])}", "postfix check")
        return
    queue = Queue.parse(done.stdout)
    total = queue.counts.total()
    if not total:
        yield ok("queue", "empty")
        return
    found = list(_problems(queue, patient.now))
    yield from found
    if not found:
        yield ok("queue", f"{_counts(queue)}; the oldest waits for {_age(patient.now - queue.oldest)}")


def _problems(queue: Queue, now: datetime) -> Iterator[Finding]:
    age = now - queue.oldest
    reason = f", most for: {printable(queue.reason[:LONGEST_REASON])}" if queue.reason else ""
    if age > OLD:
        verdict = Verdict.FAIL if age > VERY_OLD else Verdict.WARN
        text = f"{_counts(queue)}; {queue.oldest_id} waits for {_age(age)}{reason}"
        yield Finding(verdict, "age", text, f"mailctl log trace {queue.oldest_id}; once mended: postqueue -f")
    if queue.counts.total() > MANY:
        verdict = Verdict.FAIL if queue.counts.total() > 10 * MANY else Verdict.WARN
        yield Finding(
            verdict, "size", f"{_counts(queue)}{reason}", "mailctl log-report --problems-first; qshape deferred"
        )


def _counts(queue: Queue) -> str:
    return ", ".join(f"{number} {printable(name)}" for name, number in sorted(queue.counts.items()))


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
