"""Applies under steady mail: what was accepted is delivered, once, and nothing is refused or bounces.

MAILCTL_LOAD_APPLIES=100 is the long run. The figures are printed with `pytest -s`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab_kit import Lab, eventually, password_hash, write_example

pytestmark = [pytest.mark.real, pytest.mark.slow]

APPLIES = int(os.environ.get("MAILCTL_LOAD_APPLIES", "20"))
SENDERS = 4
RECIPIENT = "ali@example.org"
CLIENT = Path(__file__).with_name("load_client.py")
PLACE = "    aliases:\n      info"


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return start_lab(write_example(tmp_path_factory.mktemp("load")))


@contextmanager
def steady_mail(lab: Lab) -> Iterator[dict[str, Any]]:
    """Mail as fast as the server takes it; afterwards the dictionary says what became of it."""
    client = lab.spec_file.parent / CLIENT.name  # a folder the server sees
    client.write_text(CLIENT.read_text())
    command = [*lab.sandbox.entering(), sys.executable, "-P", str(client), RECIPIENT, str(SENDERS)]
    found: dict[str, Any] = {}
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield found
        output, _ = process.communicate()
    found.update(json.loads(output), seconds=time.monotonic() - began)


def run_verb(lab: Lab, *arguments: str) -> None:
    done = lab.mailctl("-f", str(lab.spec_file), *arguments)
    assert done.returncode == 0, done.stderr


def change(lab: Lab, text: str, number: int) -> None:
    """A login comes and goes, main.cf changes, and every tenth time a rollback undoes the change before."""
    if number % 10 == 9:
        run_verb(lab, "rollback", "-y")
        return
    mailbox = f"      carol: {{password: {{file: secrets/carol}}}}\n{PLACE}" if number % 2 == 0 else PLACE
    size = f"message_size: {20 + number}M" if number % 3 == 0 else "message_size: 50M"
    lab.spec_file.write_text(text.replace(PLACE, mailbox).replace("message_size: 50M", size))
    run_verb(lab, "apply", "-y", "--no-canary")


def delivered(lab: Lab) -> Counter[str]:
    lines = lab.run("sh", "-c", "grep -rhi '^X-Load-Id:' /var/vmail | tr -d '\\r' || true").splitlines()
    return Counter(line.split(": ", 1)[1] for line in lines)


def test_nothing_is_lost_refused_or_bounced_while_applies_follow_each_other(lab: Lab) -> None:
    text = lab.spec_file.read_text()
    (lab.spec_file.parent / "secrets/carol").write_text(password_hash("pw-carol"))
    with steady_mail(lab) as mail:
        for number in range(APPLIES):
            change(lab, text, number)
    lab.run("postqueue", "-f")

    def is_all_there() -> bool:
        if "is empty" in lab.run("postqueue", "-p"):
            return True
        time.sleep(1)
        lab.run("postqueue", "-f")
        return False

    assert eventually(is_all_there, timeout=120)
    found = delivered(lab)
    accepted = mail["accepted"]
    rate = len(accepted) / mail["seconds"]
    sys.stdout.write(
        f"\n{APPLIES} applies in {mail['seconds']:.0f} s: {len(accepted)} accepted ({rate:.0f}/s), "
        f"{sum(found.values())} delivered, {len(mail['refused'])} refused, {len(mail['lost'])} connections lost\n"
    )
    assert len(accepted) > APPLIES * 10
    assert mail["refused"] == []
    assert not set(accepted) - set(found), "accepted, but not delivered"
    assert not [each for each, times in found.items() if times > 1], "delivered twice"
    assert "status=bounced" not in lab.log()
