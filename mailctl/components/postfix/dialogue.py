"""Asking the live Postfix for a recipient: a fault in a list or table shows only there, as 451 to everybody.

No mail is sent: the dialogue ends after RCPT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailctl.components.postfix.cf import host_name, main_parameters
from mailctl.components.service import wait_until
from mailctl.host import Host

SMTP_PORT = 25
LOOPBACK = "127.0.0.1"
DOMAIN_LISTS = ("virtual_mailbox_domains", "relay_domains")
DOMAIN = re.compile(r"[A-Za-z0-9.-]+")
LONGEST_SETTLING = 5.0  # seconds; a daemon of Postfix that just died is started again after one
# RFC 3463: the system is at fault; "Server configuration error", "Temporary lookup failure", "queue file write error".
# A 450 of a policy or of DNS is no fault of ours.
SERVER_FAULT = re.compile(r"4\d\d 4\.3\.[05]\b.*")

TOO_MANY = "421"  # connections of this address; it hangs up after that


def server_faults(host: Host, main_cf: str) -> list[str]:
    """What is wrong with how port 25 answers this machine, asked from loopback and from where others would ask."""
    # Loopback is trusted, so a list may end for it before the word that is wrong.
    commands = _commands(main_cf)
    addresses = [LOOPBACK, *filter(None, [host.outside_address()])]
    return [fault for address in addresses for fault in _lasting_fault(host, address, commands)]


def _commands(main_cf: str) -> tuple[str, ...]:
    parameters = main_parameters(main_cf)
    hostname = host_name(main_cf)
    listed = (domain for name in DOMAIN_LISTS for domain in parameters.get(name, "").replace(",", " ").split())
    # Files of before the first apply may name a table there, or another parameter.
    domain = next((each for each in listed if DOMAIN.fullmatch(each)), hostname)
    return f"EHLO {hostname}", "MAIL FROM:<>", f"RCPT TO:<postmaster@{domain}>", "QUIT"


def _lasting_fault(host: Host, address: str, commands: Sequence[str]) -> list[str]:
    """A fault that is still there after some seconds, or nothing."""
    faults: list[str] = []

    def is_well() -> bool:
        faults[:] = _faults(commands, host.dialogue(address, SMTP_PORT, commands))
        return not faults

    wait_until(is_well, LONGEST_SETTLING, pause=1.0)
    return faults


def _faults(commands: Sequence[str], replies: Sequence[str]) -> list[str]:
    for command, reply in zip(("a connection", *commands), replies, strict=False):
        if reply.startswith(TOO_MANY):
            break
        if not reply:
            return [f"Postfix hangs up on {command!r}"]
        if found := SERVER_FAULT.search(reply):
            return [f"Postfix answers {command!r} with {found[0]!r}"]
    return []
