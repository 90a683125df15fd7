"""Organisational domains, by the public suffix list that comes inside its package; RFC 7489 section 3.2."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mailctl.errors import UnfitError

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def organisational_domain(name: str) -> str:
    """The domain somebody registered: `example.co.uk` for `mx1.example.co.uk`; a public suffix is its own.

    Raises:
        UnfitError: publicsuffixlist is not installed.
    """
    found: str | None = _public_suffixes().privatesuffix(name)
    return found or name


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    try:
        from publicsuffixlist import PublicSuffixList
    except ModuleNotFoundError as error:
        raise UnfitError("publicsuffixlist is not installed", hint="pip install 'mailctl[dns]'") from error
    return PublicSuffixList()
