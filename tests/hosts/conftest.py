"""Real Debian hosts: `hosts("mx1", "app1")` boots them, the end of the module discards them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.conftest import skip_or_fail
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab, missing_programs
from tests.hosts.harness.machine import DebianHost


class BootHosts(Protocol):
    def __call__(self, *names: str, image: Image = Image.FRESH) -> list[DebianHost]: ...


@pytest.fixture(scope="session")
def lab(require_root: None) -> Iterator[Lab]:
    """A bridge, a DNS server, an outside world, and wheels of this checkout, for all tests of the run."""
    if missing := missing_programs():
        skip_or_fail(f"not installed: {', '.join(missing)}")
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[BootHosts]:
    """Call with names: hosts that have booted, in that order; a name of before starts anew."""
    yield lab.boot
    lab.discard_all()
