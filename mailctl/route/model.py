"""A journey as values: which mail, each step with the line of the spec that decides it, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailctl.errors import Origin

NULL_SENDER = "<>"


class StepKind(StrEnum):
    """What a step is about."""

    ENTRY = "entry"
    CONDITION = "condition"
    REFUSED = "refused"
    SIGNATURE = "signature"
    ALIAS = "alias"
    CLASS = "class"
    TRANSPORT = "transport"
    RELAY = "relay"
    QUOTA = "quota"
    BOUNCE = "bounce"


class AddressClass(StrEnum):
    """How Postfix treats a domain; ADDRESS_CLASS_README."""

    LOCAL = "local"
    VIRTUAL_ALIAS = "virtual alias"
    VIRTUAL_MAILBOX = "virtual mailbox"
    RELAY = "relay"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Mail:
    """The envelope in question.

    `sender` is an address, `<>`, or empty for some stranger; `login` is empty for mail from outside.
    """

    recipient: str
    sender: str = ""
    login: str = ""

    @property
    def sender_domain(self) -> str:
        return self.sender.rpartition("@")[2] if "@" in self.sender else ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens to `address`, in words; `origin` is the spec value that decides it, if one does."""

    kind: StepKind
    address: str
    says: str
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One server of a failover list: `next_hop` as Postfix spells it, the TLS level, the login sent there if any."""

    next_hop: str
    tls: str
    username: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a journey ends: one recipient, and how mail gets there; quotas in bytes, 0 means no limit."""

    address: str
    address_class: AddressClass
    transport: str
    hops: tuple[Hop, ...] = ()
    quota: int = 0


@dataclass(frozen=True, slots=True)
class Journey:
    """All that happens to one mail. Mail that is refused has a `reply` and still shows where it would have gone."""

    mail: Mail
    steps: tuple[Step, ...]
    deliveries: tuple[Delivery, ...]
    reply: str = ""
    signed_by: str = ""

    @property
    def is_accepted(self) -> bool:
        return not self.reply
