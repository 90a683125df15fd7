"""What is begun ends: everything an apply does holds, or is undone, whatever comes in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EAGAIN, EDQUOT, ENOMEM, ENOSPC

from mailctl.apply.journal import Journal, Step
from mailctl.apply.recover import Say, finish, undo
from mailctl.apply.signals import uninterrupted
from mailctl.apply.status import read_services
from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.plan.stored import read_current
from mailctl.target import Target


@contextmanager
def transaction(
    host: Host, target: Target, name: str, number: int, say: Say, decided: Callable[[], None]
) -> Iterator[Journal]:
    """All that happens inside holds, or is undone whatever ends it, Ctrl-C and SIGTERM included.

    `decided` is called once it holds: what comes then, comes too late to stop it.
    """
    journal = Journal(host, target, name, [])
    with ExitStack() as rest:
        try:
            journal.write(Step.BEGIN, number=number)
            yield journal
            rest.enter_context(uninterrupted())
            journal.write(Step.VERIFIED if journal.deadline is None else Step.PENDING)
        except BaseException as error:
            _undo(host, target, journal, say)
            say(_what_serves(host, target) if journal.has(Step.REPLACE) else "nothing was changed")
            if isinstance(error, OSError):
                raise _storage_failure(error) from error
            raise
        decided()
        if not journal.is_waiting:
            _finish(host, target, journal, say)


def _undo(host: Host, target: Target, journal: Journal, say: Say) -> None:
    try:
        undo(host, target, journal, say)
    except KeyboardInterrupt:
        # It came just before `undo` lets none through; there is no second.
        undo(host, target, journal, say)
        raise


def _finish(host: Host, target: Target, journal: Journal, say: Say) -> None:
    try:
        finish(host, target, journal, say)
    except OSError as error:
        raise MailctlError(
            f"generation {journal.number} serves, but could not be recorded: {error.strerror}",
            hint="remove the cause; the next apply records it first",
        ) from error


def _what_serves(host: Host, target: Target) -> str:
    """What is true after an undo: a service may have been down before."""
    try:
        down = [each.name for each in read_services(host, target, read_current(host, target)) if each.pid is None]
    except (MailctlError, OSError):
        return "the old configuration is back"
    if down:
        return f"the old configuration is back; not running: {', '.join(down)}"
    return "the old configuration is back and serves"


def _storage_failure(error: OSError) -> MailctlError:
    where = f" {error.filename}" if error.filename else ""
    hint = "make room, then run it again" if error.errno in (ENOSPC, EDQUOT) else ""
    # Without memory or processes nothing can be started; no file is at fault.
    what = "this machine is out of resources" if error.errno in (EAGAIN, ENOMEM) else f"cannot write{where}"
    return MailctlError(f"{what}: {error.strerror or error}", hint)
