"""The recorded logs as one log each."""

from __future__ import annotations

import pytest
from recorded_logs import RUNS, recorded_lines


@pytest.fixture(params=RUNS)
def lines(request: pytest.FixtureRequest) -> list[bytes]:
    return recorded_lines(request.param)
