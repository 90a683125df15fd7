"""A host in memory with an OpenDKIM that signs by the KeyTable it loaded last, and a world that verifies."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from mailctl.apply.keys import World
from mailctl.apply.rotate import Rotation, rotate
from mailctl.components import opendkim
from mailctl.dkim.key_table import key_table
from mailctl.dkim.public_key import PublicKeyRecord
from mailctl.dkim.rotation import Sighting
from mailctl.dkim.states import list_keys, record_to_publish
from mailctl.host import Completed
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree
from tests.memory_host import MemoryHost

DOMAIN = "example.org"
LONGEST_FLIGHT = timedelta(days=5)  # maximal_queue_lifetime, postconf(5)
SPEC = Spec.model_validate(
    {
        "version": "1",
        "server": {"hostname": "mx1.example.org"},
        "tls": {"self_signed": "true"},
        "domains": {DOMAIN: {"dkim": {"selector": "s2026a", "rotate": "30d"}}},
    }
)


@dataclass
class Mail:
    """A message on its way: what it was signed with, and when."""

    selector: str
    key: str
    sent: datetime


@dataclass
class MemorySigner:
    """`records` is what every server of the zone shows; nothing of it changes unless `publish` is called."""

    now: datetime
    host: MemoryHost = field(default_factory=MemoryHost)
    records: dict[str, str] = field(default_factory=dict)
    loaded: bytes = b""
    mails: list[Mail] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host.programs = {"openssl": self._openssl, "kill": self._kill}
        self.host.put("/run/opendkim/opendkim.pid", "77")
        self.host.put("/proc/77/comm", "opendkim\n")
        self.host.put(str(DEBIAN_12.opendkim_socket), "")
        tree = Tree.of(opendkim.render(SPEC, DEBIAN_12))
        for file in tree:
            self.host.put(str(file.path), file.content.decode())
        opendkim.build(self.host, SPEC, DEBIAN_12, tree)
        self.restart()
        self.publish()

    def restart(self) -> None:
        """Power is back: OpenDKIM reads what is on the disk."""
        self.host.repair()
        self.loaded = self.host.read(key_table(DEBIAN_12)) or b""

    def publish(self) -> None:
        """The administrator puts into the DNS what mailctl says; that is no effect of a rotation."""
        host = replace(self.host, failure=None, effects=0, log=[])
        wanted = {state.key.record_name: record_to_publish(host, state) for state in list_keys(host, DEBIAN_12)}
        self.records = {name: record for name, record in wanted.items() if record is not None}

    def look(self, name: str) -> tuple[Sighting, ...]:
        record = self.records.get(name)
        return (Sighting("ns1", (record,)) if record else Sighting("ns1", absence="nxdomain"),)

    @property
    def world(self) -> World:
        return World(self.look, lambda domain: self.signer)

    def step(self, *, auto: bool = True) -> Rotation:
        return rotate(self.host, DEBIAN_12, SPEC, DOMAIN, self.now, self.world, auto=auto)

    @property
    def signer(self) -> str:
        """The selector OpenDKIM signs with for the domain."""
        row = next(line for line in self.loaded.decode().splitlines() if line.startswith("s2026a._domainkey."))
        return row.split()[1].split(":")[1]

    def send(self) -> None:
        """One message is signed; it fails as OpenDKIM would where the key is gone."""
        path = PurePosixPath(f"/etc/dkimkeys/{DOMAIN}/{self.signer}.private")
        key = base64.b64encode(self._public(path)).decode()
        self.mails.append(Mail(self.signer, key, self.now))

    def unverifiable(self) -> list[Mail]:
        """Mail that may still arrive, and would not verify now."""
        in_flight = [mail for mail in self.mails if self.now - mail.sent <= LONGEST_FLIGHT]
        return [mail for mail in in_flight if not self._verifies(mail)]

    def _verifies(self, mail: Mail) -> bool:
        record = self.records.get(f"{mail.selector}._domainkey.{DOMAIN}", "v=DKIM1; p=")
        return PublicKeyRecord.parse(record).key == mail.key

    def _openssl(self, argv: tuple[str, ...], stdin: bytes) -> Completed:
        if argv[1] == "genpkey":
            return Completed(argv, 0, f"key {self.host.effects} {self.now}".encode(), b"")
        return Completed(argv, 0, self._public(PurePosixPath(argv[argv.index("-in") + 1])), b"")

    def _public(self, path: PurePosixPath) -> bytes:
        node = self.host.nodes.get(path)
        assert node is not None, f"OpenDKIM is to sign with {path}, which is gone"
        return hashlib.sha256(node.content or b"").digest()

    def _kill(self, argv: tuple[str, ...], stdin: bytes) -> Completed:
        assert argv == ("kill", "-USR1", "77")
        self.loaded = self.host.read(key_table(DEBIAN_12)) or b""
        return Completed(argv, 0, b"", b"")
