"""Which key the running signer signs with: it is asked as smtpd asks it; no message is sent."""

from __future__ import annotations

import re

from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.probe.flow import letter
from mailctl.probe.milter import ACCEPT, MilterClient, MilterError
from mailctl.target import Target

SUBMITTED = {"{daemon_name}": "ORIGINATING"}
LOOPBACK = "127.0.0.1"
_SELECTOR = re.compile(r"(?:^|;)\s*s\s*=\s*([^;\s]+)")


def selector_in_use(host: Host, target: Target, domain: str) -> str:
    """The selector the signer puts under mail of `domain`; empty where it signs none.

    Raises:
        MailctlError: it does not answer, or does not take the message.
    """
    message = letter(f"postmaster@{domain}", f"postmaster@{domain}").content
    try:
        with MilterClient(host.path(target.opendkim_socket)) as milter:
            verdict, headers = milter.filter(message, LOOPBACK, SUBMITTED)
    except (OSError, MilterError) as error:
        raise MailctlError(
            f"the signer does not answer: {getattr(error, 'strerror', None) or error}", hint="the mail log says why"
        ) from error
    if verdict != ACCEPT:
        raise MailctlError(f"the signer puts off mail of {domain}", hint="the mail log says why")
    found = [match[1] for name, value in headers if name == "DKIM-Signature" for match in _SELECTOR.finditer(value)]
    return found[0] if found else ""
