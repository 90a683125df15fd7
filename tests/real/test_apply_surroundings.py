"""On a real server the programs of an apply are the system's own, whatever surrounds mailctl."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_kit import Lab, password_hash, write_example

from mailctl.sandbox.launch import PYTHON_ENVIRONMENT

pytestmark = [pytest.mark.real, pytest.mark.slow]

PLACE = "    aliases:\n      info"
FAKES = ("postconf", "postmap", "postalias", "postfix", "doveconf", "doveadm", "opendkim", "openssl", "ip", "sh", "env")


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder of programs that must never run, and of settings that nobody must read."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in FAKES:
        # Not by a program: none is found on this PATH.
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/ran\n")
        (folder / name).chmod(0o755)
    (folder / "main.cf").write_text("mynetworks = 0.0.0.0/0\n")
    (folder / "json.py").write_text(f"open('{tmp_path}/ran', 'w')\n")
    return folder


def test_the_surroundings_reach_no_program(start_lab: Callable[[Path], Lab], evil: Path, tmp_path: Path) -> None:
    lab = start_lab(write_example(tmp_path))
    (tmp_path / "secrets/carol").write_text(password_hash("pw-carol"))
    text = lab.spec_file.read_text()
    assert PLACE in text
    lab.spec_file.write_text(text.replace(PLACE, f"      carol: {{password: {{file: secrets/carol}}}}\n{PLACE}"))
    odd = {"PATH": evil, "MAIL_CONFIG": evil, "MAIL_VERBOSE": "1", "OPENSSL_CONF": evil / "none", "LANG": "tr_TR.UTF-8"}
    environment = (f"{name}={value}" for name, value in {**PYTHON_ENVIRONMENT, **odd}.items())
    mailctl = (sys.executable, "-P", "-m", "mailctl", "-f", str(lab.spec_file), "apply", "-y")
    lab.run("env", f"--chdir={evil}", *environment, *mailctl)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert lab.send("stranger@partner.example", "carol@example.org").replies["carol@example.org"].code == 250
    assert lab.mailctl("-f", str(lab.spec_file), "plan", "--detailed-exitcode").returncode == 0
