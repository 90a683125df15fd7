"""The wheel carries the roles as the collection mailctl.mail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


def run(folder: Path, *command: str | Path) -> str:
    """What a program prints in `folder`, where it finds the installed collection and not the checkout."""
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(folder), "PATH": path, "HOME": str(folder), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_ansible_finds_the_module_and_its_documentation(installed: Path) -> None:
    shown = run(installed, "ansible-doc", "-t", "module", "mailctl.mail.mailctl")
    assert "MODULE mailctl.mail.mailctl" in shown
    assert "allow_destroy" in shown


@pytest.mark.parametrize("role", ["mailctl", "mailctl_monitoring"])
def test_ansible_finds_the_roles_and_their_arguments(installed: Path, role: str) -> None:
    shown = run(installed, "ansible-doc", "-t", "role", f"mailctl.mail.{role}")
    assert f"{role}_" in shown
    assert "ENTRY POINT: *main*" in shown or "ENTRY POINT: main" in shown


def test_the_playbook_of_the_collection_finds_its_roles_and_its_module(installed: Path) -> None:
    inventory = CHECKOUT / "inventory/hosts.yml"
    vault = CHECKOUT / "inventory/example-vault-password"
    listing = run(
        *(installed, "ansible-playbook", "-i", inventory, "--vault-password-file", vault),
        *("--list-tasks", "mailctl.mail.site"),
    )
    assert "mailctl : Look" in listing
    assert "mailctl_monitoring : Start the timers" in listing
