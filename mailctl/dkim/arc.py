"""The chain of ARC seals of a message, as dkimpy judges it; RFC 8617."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailctl.dkim.message import relaxed_body, shown
from mailctl.dkim.verify import LARGEST_SIGNATURE, FindKey, open_message

MOST_SETS = 50  # RFC 8617 section 4.2.1
FIELDS = (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")


@dataclass(frozen=True, slots=True)
class Arc:
    """The verdict on the chain (pass, fail), why, and the domains that sealed it, the first one first."""

    verdict: str
    reason: str
    sealed_by: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "reason": self.reason, "sealed_by": list(self.sealed_by)}


def verify_arc(content: bytes, find_key: FindKey) -> Arc | None:
    """The verdict on the ARC sets of a message; None where it has none.

    Raises: as verify_message does.
    """
    message = open_message(content, "ARC")
    fields = [value for name, value in message.headers if name.lower() in FIELDS]
    if not fields:
        return None
    if len(fields) > MOST_SETS * len(FIELDS) or max(map(len, fields)) > LARGEST_SIGNATURE:
        return Arc("fail", "there are too many ARC fields, or one is too long", ())
    # Every set signs a relaxed body (section 4.1.2 lets c= say so); dkimpy would only take longer to make it.
    message.body = relaxed_body(message.body)
    try:
        verdict, sets, reason = message.verify(dnsfunc=lambda name, timeout=5: _record(find_key, name))
    except Exception as error:  # as for a signature: the fault lies in the message
        return Arc("fail", shown(str(error)) or type(error).__name__, ())
    sealed_by = tuple(shown(each["as-domain"]) for each in reversed(sets) if "as-domain" in each)
    return Arc(shown(verdict or b"fail"), "" if verdict == b"pass" else shown(str(reason)), sealed_by)


def _record(find_key: FindKey, name: bytes) -> bytes | None:
    return find_key(name.decode("utf-8", "backslashreplace").rstrip(".")).record.encode() or None
