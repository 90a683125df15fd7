"""Messages that reached the outside world, as files in the folder of the sandbox: N.json and N.eml."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mailctl.sandbox.settings import MESSAGES


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message and how it came: `host` is who the sender believed to talk to, `peer` the sender's address.

    `tls` is the protocol version (`TLSv1.3`) or empty; `login` the AUTH identity or empty; `received` UTC in RFC 3339.
    """

    number: int
    received: str
    host: str
    address: str
    port: int
    peer: str
    helo: str
    tls: str
    login: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes

    def store(self, folder: Path) -> None:
        """Write both files; the JSON one last, because it is what readers look for."""
        stem = folder / MESSAGES / f"{self.number:06}"
        stem.with_suffix(".eml").write_bytes(self.content)
        aside = stem.with_suffix(".new")
        aside.write_text(json.dumps(self.as_json(), indent=1))
        aside.rename(stem.with_suffix(".json"))

    def as_json(self) -> dict[str, Any]:
        """Every field but the content."""
        found = asdict(self)
        del found["content"]
        return found

    @classmethod
    def load(cls, path: Path) -> Self:
        fields = json.loads(path.read_text())
        fields["recipients"] = tuple(fields["recipients"])
        return cls(**fields, content=path.with_suffix(".eml").read_bytes())


def read_messages(folder: Path) -> list[ReceivedMessage]:
    """Every message so far, oldest first."""
    return [ReceivedMessage.load(path) for path in sorted((folder / MESSAGES).glob("*.json"))]
