"""What a probe says where it can make no outside for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import BusyError, MailctlError
from mailctl.host import LocalHost
from mailctl.probe import outside


def test_a_machine_without_network_namespaces_is_said_to_be_one() -> None:
    holder = LocalHost().spawn(["false"])
    with pytest.raises(MailctlError, match="gives no network namespace"):
        outside._wait_for_namespace(holder)


def test_a_probe_beside_another_waits_and_names_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require_root: Callable[..., None]
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(outside, "LONGEST_PROBE", 0)
    with (
        LocalHost(tmp_path).lock(outside.LOCK),
        pytest.raises(BusyError, match="another probe is at work"),
        outside.outside_of(LocalHost(tmp_path)),
    ):
        pass
