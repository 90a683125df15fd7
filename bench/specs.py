"""Specs of any size, always the same for the same size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ADDRESSES_PER_DOMAIN = 5000
# An address in ten is an alias, as on servers people run.
ALIAS_EVERY = 10
HASH = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43


def write_spec(folder: Path, addresses: int) -> Path:
    """A spec with `addresses` mailboxes and aliases in domains of 5,000; returns its path."""
    path = folder / f"{addresses}.yml"
    path.write_text("\n".join(_lines(addresses)) + "\n")
    return path


def _lines(addresses: int) -> Iterator[str]:
    yield from ("version: 1", "server: {hostname: mx1.example.org}", "tls: {self_signed: true}")
    yield from ("quota: {mailbox: 2G}", "domains:")
    for start in range(0, addresses, ADDRESSES_PER_DOMAIN):
        numbers = range(start, min(start + ADDRESSES_PER_DOMAIN, addresses))
        yield f"  d{start // ADDRESSES_PER_DOMAIN}.example.org:"
        yield "    mailboxes:"
        for number in numbers:
            if number % ALIAS_EVERY:
                yield f'      user{number}: {{password: {{hash: "{HASH}"}}, quota: 5G}}'
        yield "    aliases:"
        for number in numbers:
            if not number % ALIAS_EVERY:
                yield f"      alias{number}: [user{number + 1}]"
