"""What the running signer does with a message: it is asked as smtpd asks it; no message is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.probe.flow import letter
from mailctl.probe.milter import ACCEPT, TIMEOUT, Header, MilterClient, MilterError
from mailctl.target import Target

SUBMITTED = {"{daemon_name}": "ORIGINATING"}
LOOPBACK = "127.0.0.1"
_SELECTOR = re.compile(r"(?:^|;)\s*s\s*=\s*([^;\s]+)")


def ask_signer(
    path: Path, message: bytes, client: str, macros: Mapping[str, str], timeout: float = TIMEOUT
) -> list[Header]:
    """The headers the signer at the socket `path` adds to a message that comes from the address `client`.

    Raises:
        MailctlError: it does not answer within `timeout` seconds, or does not take the message.
    """
    try:
        with MilterClient(path, timeout) as milter:
            verdict, headers = milter.filter(message, client, macros)
    except (OSError, MilterError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MailctlError(f"the signer does not answer: {reason}", hint="the mail log says why") from error
    if verdict != ACCEPT:
        raise MailctlError("the signer puts the message off", hint="the mail log says why")
    return headers


def selector_in_use(host: Host, target: Target, domain: str) -> str:
    """The selector the signer puts under mail of `domain`; empty where it signs none.

    Raises:
        MailctlError: it does not answer, or does not take the message.
    """
    message = letter(f"postmaster@{domain}", f"postmaster@{domain}").content
    headers = ask_signer(host.path(target.opendkim_socket), message, LOOPBACK, SUBMITTED)
    found = [match[1] for name, value in headers if name == "DKIM-Signature" for match in _SELECTOR.finditer(value)]
    return found[0] if found else ""
