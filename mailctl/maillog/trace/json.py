"""Lives and traces as JSON types: every step with its fields, and failures with their cause."""

from __future__ import annotations

from typing import Any

from mailctl.maillog.explain import explain
from mailctl.maillog.trace.find import Trace
from mailctl.maillog.trace.lives import Life
from mailctl.maillog.trace.steps import EXPLAINED, Step


def as_json(found: Trace) -> dict[str, Any]:
    return {"key": found.key, "omitted": found.omitted, "messages": [life_as_json(life) for life in found.lives]}


def life_as_json(life: Life) -> dict[str, Any]:
    """`queue_id` is empty for a refusal; stamps are as the log has them."""
    return {
        "queue_id": life.queue_id,
        "host": life.host,
        "message_id": life.value("message_id"),
        "sender": life.value("sender"),
        "size": int(life.value("size") or 0),
        "removed": life.is_over,
        "steps": [_step(step) for step in life.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"stamp": step.line.stamp, "program": step.line.program, "kind": step.kind.value}
    data |= {"fields": step.fields} if step.fields else {"text": step.line.text}
    if step.kind in EXPLAINED and step.fields.get("reply"):
        data["cause"] = explain(step.fields["reply"]).cause.name
    return data
