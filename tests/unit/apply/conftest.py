"""A server in memory, before its first apply, and three specs for it."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailctl.apply.recover import recover
from mailctl.apply.run import Order, apply_plan, apply_rollback
from mailctl.components import registry
from mailctl.plan.make import make_plan, make_rollback_plan
from mailctl.plan.model import Plan
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.memory_host import MemoryHost
from tests.unit.apply import service

HASH = "{SHA512-CRYPT}$6$aaaaaaaaaaaaaaaa$" + "b" * 86

BASE: dict[str, Any] = {
    "version": "1",
    "server": {"hostname": "mx1.example.org"},
    "tls": {"self_signed": "true"},
    "domains": {
        "example.org": {
            "dkim": {"selector": "s1"},
            "mailboxes": {"ali": {"password": {"hash": HASH}}, "bob": {"password": {"hash": HASH}}},
            "aliases": {"info": ["ali"]},
        }
    },
}


def spec_with(**domain: Any) -> Spec:
    """The base spec with other values in its domain; None removes one."""
    data = copy.deepcopy(BASE)
    for key, value in domain.items():
        data["domains"]["example.org"][key] = value
    return Spec.model_validate(data)


SPEC = spec_with()
# Adds a mailbox, removes another, changes an alias, gives up signing: every kind of file changes or goes.
OTHER_SPEC = spec_with(
    mailboxes={"ali": {"password": {"hash": HASH}}, "carol": {"password": {"hash": HASH}}},
    aliases={"info": ["ali", "carol"]},
    dkim=None,
)


@dataclass
class Server:
    """A host in memory with its daemon, and the verbs a user has."""

    host: MemoryHost = field(default_factory=MemoryHost)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.daemon = service.Daemon(self.host)
        if service.MAIN_CF in self.host.nodes:
            return
        self.host.put("/etc/postfix/main.cf", "# Debian's\nmyhostname = old.example.org\n")
        self.host.put("/etc/postfix/master.cf", "smtp inet\n")
        self.host.put("/etc/opendkim.conf", "# Debian's\n")
        self.host.put("/etc/dovecot/dovecot.conf", "# Debian's\n")
        self.host.put("/etc/postfix/notes.txt", "mine\n", 0o600, "ali", "ali")

    def plan(self, spec: Spec) -> Plan:
        return make_plan(spec, DEBIAN_12, self.host)

    def apply(self, spec: Spec, **liberties: Any) -> int | None:
        """As the verb does; None where there was nothing to do."""
        recover(self.host, DEBIAN_12, self.said.append)
        plan = self.plan(spec)
        if plan.is_empty:
            return None
        return apply_plan(self.host, DEBIAN_12, spec, plan, self.order(**liberties)).number

    def rollback(self, number: int, **liberties: Any) -> None:
        recover(self.host, DEBIAN_12, self.said.append)
        plan = make_rollback_plan(number, DEBIAN_12, self.host)
        apply_rollback(self.host, DEBIAN_12, number, plan, self.order(**liberties))

    def order(self, **liberties: Any) -> Order:
        return Order("ali", self.said.append, b"version: 1\n", **liberties)

    def etc(self) -> dict[str, tuple[bytes | None, int, str, str]]:
        """What lies below /etc: content, mode, owner, group."""
        return {
            path: (node.content, node.mode, node.owner, node.group) for path, node in self.host.files("/etc").items()
        }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(registry, "COMPONENTS", (sys.modules[service.__name__],))
    return Server()
