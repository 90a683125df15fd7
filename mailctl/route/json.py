"""A journey for programs: stable keys, sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from mailctl.errors import Origin
from mailctl.route.compare import Difference
from mailctl.route.model import Journey, Step


def journey_as_json(journey: Journey) -> dict[str, Any]:
    """What `mailctl route --json` prints."""
    return {
        "recipient": journey.mail.recipient,
        "sender": journey.mail.sender,
        "login": journey.mail.login,
        "accepted": journey.is_accepted,
        "reply": journey.reply,
        "signed_by": journey.signed_by,
        "steps": [_step(step) for step in journey.steps],
        "deliveries": [asdict(delivery) for delivery in journey.deliveries],
    }


def differences_as_json(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """What `--live` adds as `differences`."""
    return [
        {"kind": each.kind, "address": each.address, "spec": each.spec, "server": each.server, **_place(each.origin)}
        for each in found
    ]


def _step(step: Step) -> dict[str, Any]:
    return {"kind": step.kind, "address": step.address, "says": step.says, **_place(step.origin)}


def _place(origin: Origin | None) -> dict[str, Any]:
    place = origin or Origin("")
    return {"file": place.file, "line": place.line, "column": place.column}
