"""What left the lab: how it travelled, its headers, and whether its signature holds for those who got it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailctl.dkim.signature import Verdict
from mailctl.dkim.verify import verify_message
from mailctl.dns.public_key import find_public_key
from mailctl.dns.resolve import Resolver, Server
from mailctl.dns.suffix import organisational_domain
from mailctl.sandbox import ReceivedMessage, Sandbox
from mailctl.sandbox.network import OUTSIDE_IPV4


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message as the world got it; `signature` is the verdict on it, empty where nobody asked."""

    message: ReceivedMessage
    signature: str = ""

    @property
    def is_valid(self) -> bool:
        return self.signature.startswith("valid")

    @property
    def header(self) -> str:
        """Everything before the first empty line, with line feeds."""
        text = self.message.content.decode(errors="replace").replace("\r\n", "\n")
        return text.partition("\n\n")[0]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        message = self.message
        yield f"<{message.sender}> to {', '.join(f'<{each}>' for each in message.recipients)}"
        login = f"login {message.login}" if message.login else "no login"
        yield f"through {message.host}:{message.port}, {message.tls or 'no TLS'}, {login}"
        yield ""
        yield self.header
        if self.signature:
            yield ""
            yield f"DKIM signature: {self.signature}"

    def as_json(self) -> dict[str, Any]:
        return {**self.message.as_json(), "header": self.header, "signature": self.signature}


def read_sent(lab: Sandbox, recipient: str, *, verify: bool) -> SentMessage | None:
    """The newest message that left for `recipient` (any where empty); None where none did."""
    found = [each for each in lab.messages() if not recipient or recipient in each.recipients]
    if not found:
        return None
    return SentMessage(found[-1], _verify(lab, found[-1].content) if verify else "")


def _verify(lab: Sandbox, content: bytes) -> str:
    """The verdict on its signatures, with the public keys in the lab's DNS (RFC 6376 section 6)."""
    resolver = Resolver([Server(OUTSIDE_IPV4)])
    found = lab.call_outside(
        lambda: verify_message(
            content, lambda name: find_public_key(resolver, name), datetime.now(UTC), organisational_domain
        )
    )
    if not found.signatures:
        return "none: the message is not signed"
    signature = next((each for each in found.signatures if each.verdict is Verdict.PASS), found.signatures[0])
    if signature.verdict is not Verdict.PASS:
        return f"invalid: {signature.reason}"
    return f"valid, made by {signature.domain} with selector {signature.selector}"
