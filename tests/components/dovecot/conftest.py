"""The rendered trees of Dovecot's golden cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.components import dovecot
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def tree_of() -> Callable[[str], Tree]:
    """Call with the name of a golden case."""
    return lambda case: Tree.of(dovecot.render(load_spec(GOLDEN / case / "spec.yml"), DEBIAN_12))
