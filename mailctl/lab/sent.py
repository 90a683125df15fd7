"""What left the lab: how it travelled, its headers, and whether its signature holds for those who got it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailctl.errors import MailctlError
from mailctl.sandbox import ReceivedMessage, Sandbox
from mailctl.sandbox.network import OUTSIDE_IPV4

DNS_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message as the world got it; `signature` is the verdict of dkimpy, empty where nobody asked."""

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
    """What dkimpy says, with the public key it finds in the lab's DNS (RFC 6376 section 6)."""
    import dkim

    verifier = dkim.DKIM(content)
    if not any(name.lower() == b"dkim-signature" for name, _ in verifier.headers):
        return "none: the message is not signed"
    try:
        is_valid = lab.call_outside(lambda: verifier.verify(dnsfunc=_find_text_record))
    except (dkim.DKIMException, dkim.dnsplug.dns.exception.DNSException) as error:
        return f"invalid: {error}"
    if not is_valid:
        return "invalid: it does not match the message and the public key in the DNS"
    return f"valid, made by {_text(verifier.domain)} with selector {_text(verifier.selector)}"


def _find_text_record(name: bytes, timeout: float = DNS_TIMEOUT) -> bytes | None:
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [OUTSIDE_IPV4]
    try:
        answer = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except dns.exception.DNSException as error:
        raise MailctlError(f"the DNS of the lab does not answer: {error}") from error
    return b"".join(answer[0].strings)


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
