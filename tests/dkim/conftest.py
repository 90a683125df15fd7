"""A key per test run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dkim.signer import Signer


@pytest.fixture(scope="session")
def signer(require_tools: Callable[..., None]) -> Signer:
    require_tools("openssl")
    return Signer()
