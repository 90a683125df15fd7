"""Family delivery: a message to each class of recipient arrives where the spec says, once, and nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

from mailctl.probe.arena import Arena
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Transcript
from mailctl.probe.flow import arrivals, hand_over, letter, require_inside, require_mailbox
from mailctl.probe.subject import NOBODY
from mailctl.route import AddressClass, Delivery, Mail, RenderedServer, trace
from mailctl.spec.choices import MailboxKind
from mailctl.spec.derive import alias_rows, hosts_mail
from mailctl.spec.model import Spec
from mailctl.target import Target

REMEDY = "`mailctl lab log` shows what became of the message; compare the aliases of the spec"


def checks() -> tuple[Check, ...]:
    return (
        Check("delivery.mailbox", "a message to a mailbox arrives there", REMEDY, _to_mailbox, is_fast=True),
        Check("delivery.classes", "a message to each class of recipient arrives as the spec says", REMEDY, _to_each),
    )


def _to_mailbox(arena: Arena) -> Iterator[Attempt]:
    spec, _ = require_inside(arena)
    mailbox = require_mailbox(arena)
    yield _attempt(arena, "mailbox", mailbox, Router(spec, arena.target).destinations(mailbox))


def _to_each(arena: Arena) -> Iterator[Attempt]:
    spec, _ = require_inside(arena)
    if not hosts_mail(spec):
        raise CannotTellError("this server stores no mail")
    router = Router(spec, arena.target)
    for kind, address in recipients(spec, router).items():
        yield _attempt(arena, kind, address, router.destinations(address))


class Router:
    """Where mail from outside goes, as `mailctl route` works it out."""

    def __init__(self, spec: Spec, target: Target) -> None:
        self._spec = spec
        self._target = target
        self._server = RenderedServer(spec, target)

    def destinations(self, address: str) -> frozenset[str]:
        """The mailboxes and outside addresses that mail to `address` reaches; none where it is refused."""
        journey = trace(self._spec, self._target, self._server, Mail(address))
        return frozenset(map(_destination, journey.deliveries)) if journey.is_accepted else frozenset()


def _destination(delivery: Delivery) -> str:
    """The mailbox itself, whatever tag the mail for it has."""
    if delivery.address_class is not AddressClass.VIRTUAL_MAILBOX:
        return delivery.address
    localpart, _, domain = delivery.address.rpartition("@")
    return f"{localpart.partition('+')[0]}@{domain}"


def recipients(spec: Spec, router: Router) -> dict[str, str]:
    """One address of each class the spec has, by what the class is called."""
    found: dict[str, str] = {}
    for kind, address in _candidates(spec):
        if kind not in found and router.destinations(address):
            found[kind] = address
    return found


def _candidates(spec: Spec) -> Iterator[tuple[str, str]]:
    for domain, record in spec.domains.items():
        for name, mailbox in record.mailboxes.items():
            if mailbox.kind is MailboxKind.SMTP_USER:
                yield "smtp-user", f"{name}@{domain}"
            else:
                yield "mailbox with a tag", f"{name}+probe@{domain}"
        if record.catch_all is not None:
            yield "catch-all", f"{NOBODY}@{domain}"
        yield "postmaster", f"postmaster@{domain}"
        yield "abuse", f"abuse@{domain}"
    for row in alias_rows(spec):
        if row.path[-2:-1] == ("aliases",):
            leaves = any(target.rpartition("@")[2] not in spec.domains for target in row.targets)
            yield "forward" if leaves else "alias", row.address
    if spec.local_aliases and spec.server.hostname not in spec.domains:
        yield "system user", f"root@{spec.server.hostname}"


def _attempt(arena: Arena, kind: str, recipient: str, expected: frozenset[str]) -> Attempt:
    return Attempt(f"{kind} <{recipient}>", partial(_deliver, arena, expected, recipient))


def _deliver(arena: Arena, expected: frozenset[str], recipient: str, transcript: Transcript) -> None:
    message = letter("", recipient)
    reply = hand_over(arena, transcript, message)
    if not reply.is_success:
        raise RefutedError(f"<{recipient}> was answered {str(reply)!r}")
    arena.wait_until(lambda: arrivals(arena, message.token).keys() >= expected)
    found = arrivals(arena, message.token)
    if found != Counter(expected):
        raise RefutedError(f"mail to <{recipient}> arrived at {_list(found)}, not at {_list(Counter(expected))}")


def _list(found: Counter[str]) -> str:
    copies = (address if count == 1 else f"{count} times {address}" for address, count in sorted(found.items()))
    return ", ".join(copies) or "nobody"
