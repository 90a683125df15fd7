"""A Postfix configuration as something to ask: parameters and tables, of a spec or of a running server."""

from __future__ import annotations

import re
from typing import Protocol

# Not rendered, for Postfix's own defaults are what we want; postconf(5).
DEFAULTS = {
    "local_transport": "local:$myhostname",
    "recipient_delimiter": "",
    "relay_domains": "",
    "relay_transport": "relay",
    "virtual_alias_domains": "",
    "virtual_mailbox_domains": "",
    "virtual_transport": "virtual",
}


PATTERN_TABLES = ("pcre:", "regexp:", "cidr:")


class Server(Protocol):
    """What trivial-rewrite, cleanup and smtpd ask of their configuration."""

    def parameter(self, name: str) -> str:
        """The value of a main.cf parameter, expanded; empty where it is not set."""

    def ask(self, table: str, key: str) -> str | None:
        """What one table, written `type:name` as in main.cf, says of `key`; None where it says nothing."""


def look_up(server: Server, parameter: str, key: str, *, is_whole: bool = True) -> str | None:
    """What the tables named by `parameter` say of `key`: the first answer counts.

    Args:
        is_whole: patterns see whole addresses only, never a part of one (regexp_table(5)).
    """
    tables = words(server.parameter(parameter))
    answers = (server.ask(table, key) for table in tables if is_whole or not table.startswith(PATTERN_TABLES))
    return next((answer for answer in answers if answer is not None), None)


def words(value: str) -> tuple[str, ...]:
    """The items of a list as main.cf writes them."""
    return tuple(word for word in re.split(r"[,\s]+", value) if word)
