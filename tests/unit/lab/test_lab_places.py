from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mailctl.errors import ExitCode, NeedsRootError, UnfitError, UsageError
from mailctl.host import LocalHost
from mailctl.lab.places import lab_folder, open_lab, require_root


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-x", "x" * 33, "a b"])
def test_a_name_that_could_climb_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        lab_folder(name)


def test_a_lab_that_is_not_up_says_how_to_start_it(require_root: None) -> None:
    with pytest.raises(UnfitError, match="no lab called 'nobody-made-this' is up") as caught:
        open_lab(LocalHost(), "nobody-made-this")
    assert "mailctl lab up --name nobody-made-this" in caught.value.hint


@pytest.fixture
def ordinary_user(require_root: None) -> Iterator[None]:
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_an_ordinary_user_is_told_that_it_takes_root(ordinary_user: None) -> None:
    with pytest.raises(NeedsRootError, match="belongs to root") as caught:
        open_lab(LocalHost(), "lab")
    assert caught.value.exit_code is ExitCode.NEEDS_ROOT
    with pytest.raises(NeedsRootError):
        require_root(LocalHost())
