"""A rollback on a real server: what it puts in place is asked like a new configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_kit import Lab, write_example

pytestmark = pytest.mark.real

STRANGER, VICTIM = "stranger@partner.example", "victim@elsewhere.example"
OPEN_RELAY = "\nmynetworks = 0.0.0.0/0 [::]/0\n"


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A server whose generation 2 serves, with another main.cf than generation 1."""
    lab = start_lab(write_example(tmp_path_factory.mktemp("rollback")))
    text = lab.spec_file.read_text()
    lab.spec_file.write_text(f"{text}\npostfix: {{main: {{default_process_limit: '90'}}}}\n")
    done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--no-canary")
    assert done.returncode == 0, done.stderr
    lab.spec_file.unlink()  # nothing here needs it
    return lab


def open_relay(lab: Lab, number: int) -> None:
    """Make the stored main.cf of a generation one that relays for everybody."""
    folder = lab.sandbox.path(f"/var/lib/mailctl/history/{number}")
    main_cf, manifest = folder / "tree/etc/postfix/main.cf", folder / "manifest.json"
    main_cf.write_text(f"{main_cf.read_text()}{OPEN_RELAY}")
    data = json.loads(manifest.read_text())
    for entry in data["files"]:
        if entry["path"] == "/etc/postfix/main.cf":
            entry["sha256"] = hashlib.sha256(main_cf.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(data))


def serving(lab: Lab) -> int:
    return int(json.loads(lab.mailctl("status", "--json").stdout)["generation"])


def test_a_generation_that_serves_is_put_back_and_forth(lab: Lab) -> None:
    for number in (1, 2):
        done = lab.mailctl("rollback", "-y", str(number))
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
        assert serving(lab) == number


def test_an_open_relay_is_not_kept(lab: Lab) -> None:
    before = lab.run("sha256sum", "/etc/postfix/main.cf")
    open_relay(lab, 1)
    done = lab.mailctl("rollback", "-y", "1")
    assert done.returncode == 1, done.stderr
    assert "generation 1 does not serve" in done.stderr
    assert "relay.stranger" in done.stderr
    assert "the old configuration is back and serves" in done.stderr
    assert lab.run("sha256sum", "/etc/postfix/main.cf") == before
    assert serving(lab) == 2
    assert lab.send(STRANGER, VICTIM).replies[VICTIM].code == 554


def test_what_was_there_before_the_first_apply_comes_back_even_so_and_that_is_said(lab: Lab) -> None:
    open_relay(lab, 0)
    done = lab.mailctl("rollback", "-y", "0")
    assert done.returncode == 0, done.stderr
    assert "live server: warning: relay.stranger" in done.stderr
    assert "OpenDKIM: warning" not in done.stderr
    assert "generation 0 serves all the same" in done.stderr
    assert serving(lab) == 0
