"""What somebody else changed on the host: since the last apply, since the plan was shown, or while it is made ready."""

from __future__ import annotations

from datetime import UTC, datetime

from mailctl.apply.generation import store_overwritten
from mailctl.apply.journal import read_unfinished
from mailctl.apply.recover import Say
from mailctl.errors import BusyError
from mailctl.host import Host
from mailctl.plan.make import still_holds
from mailctl.plan.model import Plan
from mailctl.target import Target


def refuse_drift(plan: Plan, overwrite: bool) -> None:
    """Raises BusyError where hand edits would be lost and nobody said that they may."""
    if plan.drift and not overwrite:
        raise BusyError(
            f"changed by hand since generation {plan.number}: {', '.join(map(str, plan.drift))}",
            hint="--adopt prints spec lines that keep it, --overwrite replaces it and keeps a copy",
        )


def save_drift(host: Host, target: Target, plan: Plan, say: Say) -> None:
    """Keep a copy of the hand edits that `plan` replaces."""
    if plan.drift:
        folder = target.state_dir / "overwritten" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        store_overwritten(host, folder, (plan.actual.files[path] for path in plan.drift))
        say(f"kept the files changed by hand below {folder}")


def require_same(host: Host, target: Target, plan: Plan) -> None:
    """Under the lock: what is about to be done is what was shown.

    Raises:
        BusyError: it is not.
    """
    if read_unfinished(host, target) is not None or not still_holds(plan, target, host):
        raise BusyError("the host changed since the plan was made; nothing was done", hint="run it again")


def require_untouched(host: Host, plan: Plan) -> None:
    """Right before the switch: nobody edited a file while everything was made ready for it.

    Raises:
        BusyError: somebody did.
    """
    for change in plan.changes:
        found = plan.actual.files.get(change.path)
        if not change.is_table and host.read(change.path) != (found.content if found else None):
            raise BusyError(f"{change.path} changed while the apply was being made ready", hint="run it again")
