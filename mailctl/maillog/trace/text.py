"""A trace as a timeline for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mailctl.maillog.explain import explain
from mailctl.maillog.formats import BOLD, DIM, RESET, numbers
from mailctl.maillog.formats.safe import printable
from mailctl.maillog.trace.find import Trace
from mailctl.maillog.trace.lives import Life
from mailctl.maillog.trace.steps import EXPLAINED, GIVEN_UP, STAGES, Kind, Step

NARROWEST = 40
"""Columns for what a step says, however narrow the screen."""

ADVICE = "→ "
RED, YELLOW, GREEN = "\x1b[31m", "\x1b[33m", "\x1b[32m"
COLORS = {
    Kind.DELIVERED: GREEN,
    Kind.STORED: GREEN,
    Kind.DEFERRED: YELLOW,
    Kind.HELD: YELLOW,
    Kind.BOUNCED: RED,
    Kind.EXPIRED: RED,
    Kind.REFUSED: RED,
}


def render(found: Trace, width: int, color: bool = False) -> str:
    """One block a life: a heading, then its steps; every step begins with its stamp as the log has it."""
    lines: list[str] = []
    if found.omitted:
        lines += [f"the latest of {numbers.count(found.omitted + len(found.lives))} messages; -n shows more", ""]
    requeued = {(life.host, life.requeued_from): life.queue_id for life in found.lives}
    for life in found.lives:
        goes_on_as = requeued.get((life.host, life.queue_id), "")
        lines += [*_life(life, goes_on_as, width, color), ""]
    return "\n".join(lines).rstrip("\n")


def _life(life: Life, goes_on_as: str, width: int, color: bool) -> Iterator[str]:
    if life.queue_id:
        yield _painted(BOLD, _heading(life), color)
    for step in life.steps:
        yield from _step(step, width, color)
    if not life.queue_id or life.is_over:
        return
    if goes_on_as:
        yield _painted(DIM, f"  put into the queue again by postsuper, as {printable(goes_on_as)}", color)
    else:
        yield _painted(DIM, "  still in the queue where this log ends, or its end is in a later one", color)


def _step(step: Step, width: int, color: bool) -> Iterator[str]:
    stamp = printable(step.line.stamp)
    word = f"{step.kind:10}"
    before = len(stamp) + len(word) + 5
    first, *others = textwrap.wrap(printable(" ".join(_words(step))), max(width - before, NARROWEST)) or [""]
    yield f"  {_painted(DIM, stamp, color)}  {_painted(COLORS.get(step.kind, ''), word, color)} {first}".rstrip()
    indent = " " * min(before, width // 3)
    yield from (f"{indent}{line}" for line in others)
    for note in _notes(step):
        hanging = indent + "  " if note.startswith((ADVICE, "  ")) else indent
        yield from textwrap.wrap(printable(note), width, initial_indent=indent, subsequent_indent=hanging)


def _heading(life: Life) -> str:
    size = life.value("size")
    parts = [life.queue_id, f"on {life.host}", life.value("message_id")]
    return printable("  ".join(filter(None, [*parts, numbers.size(int(size)) if size else ""])))


def _words(step: Step) -> Iterator[str]:
    fields = step.fields
    match step.kind:
        case Kind.ACCEPTED:
            yield from _arrival(fields)
        case Kind.QUEUED:
            yield f"from <{fields.get('sender', '')}>"
            yield f"for {fields['recipients']} recipient{'s' if fields['recipients'] != '1' else ''}"
        case Kind.IDENTIFIED:
            yield f"as {fields.get('message_id', '')}"
        case Kind.SIGNED:
            yield f"for {fields['domain']} with selector {fields['selector']}"
        case Kind.STORED:
            yield f"{fields['what']} by {fields['service']}"
        case Kind.NOTICE:
            yield f"{fields['what']} notification: {fields['queue_id']}"
        case Kind.REMOVED:
            return
        case _ if "relay" in fields:
            yield from _attempt(fields)
        case _:
            yield f"{step.line.program}: {step.line.text}"


def _arrival(fields: dict[str, str]) -> Iterator[str]:
    if "user_id" in fields:
        yield f"from <{fields.get('sender', '')}> on this machine, user id {fields['user_id']}"
    else:
        yield f"from {fields.get('client', 'unknown')}"
    if "sasl_username" in fields:
        yield f"logged in as {fields['sasl_username']} by {fields.get('sasl_method', 'unknown')}"
    if "original_client" in fields:
        yield f"first from {fields['original_client']}"
    if "original_id" in fields:
        yield f"re-injected, was {fields['original_id']}"


def _attempt(fields: dict[str, str]) -> Iterator[str]:
    yield f"<{fields.get('recipient', '')}>"
    if "original_recipient" in fields:
        yield f"(for <{fields['original_recipient']}>)"
    if fields["relay"] != "none":
        yield f"by {fields['relay']}"
    if "tls" in fields:
        yield f"TLS {fields['tls']}"
    yield f"after {fields['delay']} s"


def _notes(step: Step) -> Iterator[str]:
    fields = step.fields
    parts = fields.get("delays", "").split("/")
    if len(parts) == len(STAGES):
        spent = [f"{part} s {stage}" for part, stage in zip(parts, STAGES, strict=True) if part not in ("0", "0.0")]
        yield ", ".join(spent)
    reply = fields.get("reply", "")
    if "relay" in fields:
        yield reply
    if step.kind in EXPLAINED and reply:
        found = explain(reply, given_up=step.kind in GIVEN_UP)
        if found.cause.name != "unknown":
            yield f"{ADVICE}{found.meaning}"
            yield f"  {found.next_step}"


def _painted(code: str, text: str, color: bool) -> str:
    return f"{code}{text}{RESET}" if color and code else text
