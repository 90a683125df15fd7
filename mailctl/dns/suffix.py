"""Organisational domains, by the public suffix list that comes inside its package; RFC 7489 section 3.2."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mailctl.errors import missing_modules

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def organisational_domain(name: str) -> str:
    """The domain somebody registered: `example.co.uk` for `mx1.example.co.uk`; a public suffix is its own.

    Raises:
        UnfitError: publicsuffixlist is not installed.
    """
    found: str | None = _public_suffixes().privatesuffix(name)
    return found or name


def same_organisation(name: str, other: str) -> bool:
    """Whether somebody registered both under one domain. Equal names are, whatever list there is.

    Raises: as organisational_domain does.
    """
    return name == other or organisational_domain(name) == organisational_domain(other)


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    try:
        from publicsuffixlist import PublicSuffixList
    except ModuleNotFoundError as error:
        raise missing_modules("publicsuffixlist") from error
    return PublicSuffixList()
