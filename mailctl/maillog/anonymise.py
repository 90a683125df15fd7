"""Reports that can be shown around: addresses, hosts and logins replaced by hashes that stay the same.

The hash is keyed, because the hash of an address can be reversed by trying addresses. With one key, the same address
has the same name in every report, so that reports of different days still compare.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import Any

from mailctl.maillog.explain.lookup import known_domains
from mailctl.maillog.probes import is_probe
from mailctl.maillog.rename import renamed
from mailctl.maillog.report import Deliverability, Rejects, Report

LENGTH = 10
ADDRESSES = frozenset({"sender", "recipient", "original_recipient"})

# Each pattern begins at the begin of a token, so that a long text without an address costs linear time.
ADDRESS = r"(?P<address>(?<![^\s<>@,;:()\[\]\"])(?:[^\s<>@,;:()\[\]\"]+|\"[^\"]*\")@[^\s<>@,;:()\"]+)"
IPV6 = r"(?P<ipv6>(?<![\w:\]])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]{0,15}(?![\w:]))"
IPV4 = r"(?P<ipv4>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w))"
HOST = r"(?P<host>(?<![\w.-])(?:[\w-]+\.)+[a-zA-Z][\w-]+(?![\w-]))"
# A table or a socket is no host: `/etc/postfix/virtual.cdb`. What follows two slashes is.
ENDINGS = "cdb|cf|cidr|conf|crt|db|key|lmdb|log|pcre|pem|regexp|sock|txt"
FILE = rf"(?P<file>(?:(?<=(?<!/)/)[\w-]+\.(?:{ENDINGS})|(?<![\w.-])(?:main|master)\.cf)(?![\w.-]*\w))"
LOGIN = r"(?P<login>(?<=sasl_username=)[^\s,;@]+)"
SECRETS = re.compile(rf"{FILE}|{LOGIN}|{ADDRESS}|{IPV6}|{IPV4}|{HOST}")


class Anonymiser:
    """Replaces names by their keyed hashes; replies keep their words and the names of well-known providers."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def report(self, report: Report) -> Report:
        """The same numbers under other names."""
        text, address, domain = self.text, self.address, self.domain
        rejects, found, sasl = report.rejects, report.deliverability, report.sasl
        return replace(
            report,
            senders=renamed(report.senders, address),
            sender_domains=renamed(report.sender_domains, domain),
            recipients=renamed(report.recipients, address),
            recipient_domains=renamed(report.recipient_domains, domain),
            relays=renamed(report.relays, text),
            rejects=Rejects(
                renamed(rejects.by_class, text),
                renamed(rejects.by_code, text),
                renamed(rejects.by_client, text),
                renamed(rejects.probes, text),
            ),
            deferrals=renamed(report.deferrals, text),
            bounces=renamed(report.bounces, text),
            sasl=replace(sasl, by_user=renamed(sasl.by_user, self.login), by_client=renamed(sasl.by_client, text)),
            warnings=renamed(report.warnings, text),
            deliverability=Deliverability(
                tuple(
                    replace(each, domain=domain(each.domain), reasons=renamed(each.reasons, text))
                    for each in found.domains
                ),
                renamed(found.senders, address),
                renamed(found.relays, text),
            ),
        )

    def data(self, value: Any, name: str = "") -> Any:
        """JSON data with every string in it rewritten, by the name under which it stands."""
        if isinstance(value, dict):
            return {key: self.data(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item, name) for item in value]
        if not isinstance(value, str):
            return value
        if name in ADDRESSES:
            return self.address(value)
        return self.login(value) if name == "sasl_username" else self.text(value)

    def text(self, text: str) -> str:
        """`text` with every address, IP address and host name in it replaced."""
        return SECRETS.sub(self._replacement, text)

    def address(self, address: str) -> str:
        """An envelope address; the null sender, `<>`, stays what it is."""
        if address.strip("<>") == "":
            return address
        localpart, at, domain = address.rpartition("@")
        if not at:
            return self.login(domain)
        return f"{self.login(localpart)}@{self.domain(domain)}"

    def domain(self, name: str) -> str:
        if name.strip("<>") == "" or _is_well_known(name):
            return name
        return f"{self._hash(name)}.invalid"  # RFC 2606: never somebody's

    def login(self, name: str) -> str:
        return f"user-{self._hash(name)}" if name else name

    def _replacement(self, match: re.Match[str]) -> str:
        if match["file"]:
            return match["file"]
        if match["login"]:
            return self.login(match["login"])
        if match["address"]:
            return self.address(match["address"])
        if match["host"]:
            return self.domain(match["host"])
        return match[0] if _is_everywhere(match[0]) else f"ip-{self._hash(match[0])}"

    def _hash(self, text: str) -> str:
        digest = hmac.digest(self._key, text.lower().encode("utf-8", "surrogateescape"), "sha256")
        return digest.hex()[:LENGTH]


def _is_everywhere(address: str) -> bool:
    """An address that tells nothing of a machine, only of what happened: loopback, and mailctl's own probes."""
    return address.startswith("127.") or address == "::1" or is_probe(address.encode(errors="replace"))


def _is_well_known(host: str) -> bool:
    host = host.lower()
    return any(host == known or host.endswith(f".{known}") for known in known_domains())
