"""Which checks there are, and choosing among them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mailctl.errors import UsageError
from mailctl.probe.case import load_checks
from mailctl.probe.check import Check
from mailctl.probe.families import (
    auth,
    certificate,
    ciphers,
    closed,
    delivery,
    early_data,
    errors,
    renegotiation,
    signer,
    signing,
    smuggling,
    tables,
    tls,
)

MODULES = (
    auth,
    errors,
    tables,
    tls,
    ciphers,
    renegotiation,
    early_data,
    certificate,
    delivery,
    signer,
    signing,
    smuggling,
    closed,
)
FAMILIES = ("relay", "auth", "identity", "enumeration", "tls", "delivery", "signing", "smuggling", "closed")


def all_checks() -> tuple[Check, ...]:
    """Every check, family by family."""
    parts = (load_checks(), *(module.checks() for module in MODULES))
    return tuple(sorted(itertools.chain(*parts), key=lambda check: FAMILIES.index(check.family)))


def select_checks(only: Sequence[str] = (), *, fast: bool = False) -> tuple[Check, ...]:
    """The checks named by `only` (a family, or the whole name of a check), or all; `fast` leaves out the slow ones.

    Raises:
        UsageError: nothing has that name.
    """
    checks = all_checks()
    known = {name for check in checks for name in (check.name, check.family)}
    if unknown := [name for name in only if name not in known]:
        raise UsageError(f"no check is called {unknown[0]!r}", hint=f"families are: {', '.join(FAMILIES)}")
    chosen = (check for check in checks if not only or {check.name, check.family} & set(only))
    return tuple(check for check in chosen if check.is_fast or not fast)
