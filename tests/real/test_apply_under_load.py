"""Applies under steady mail: what was accepted is delivered, once, and nothing is refused or bounces.

MAILCTL_LOAD_APPLIES=100 is the long run, with more senders. The figures are printed with `pytest -s`.
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
from dataclasses import dataclass, field
from pathlib import Path

import faulty_mailctl
import pytest
from faulty_mailctl import RESTART
from lab_kit import Lab, password_hash, write_example

from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from tests.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow]

APPLIES = int(os.environ.get("MAILCTL_LOAD_APPLIES", "20"))
SENDERS = 4 if APPLIES < 100 else 12
# Each has a mailbox of its own: deliveries to one wait for each other.
RECIPIENTS = [f"load{number}" for number in range(SENDERS)]
CLIENT = Path(__file__).with_name("load_client.py")
RESTARTING = Path(faulty_mailctl.__file__)
PLACE = "    aliases:\n      info"


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    spec_file = write_example(tmp_path_factory.mktemp("load"))
    rows = "".join(f"      {name}: {{password: {{file: secrets/ali}}}}\n" for name in RECIPIENTS)
    spec_file.write_text(spec_file.read_text().replace(PLACE, f"{rows}{PLACE}"))
    return start_lab(spec_file)


@dataclass
class Mail:
    """What became of the messages of one phase, by their ids; `seconds` is how long it took."""

    label: str
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        rate = len(self.accepted) / self.seconds
        return (
            f"{self.label}: {self.seconds:.0f} s, {len(self.accepted)} accepted ({rate:.0f}/s), "
            f"{len(self.refused)} refused, {len(self.lost)} connections lost"
        )


@contextmanager
def steady_mail(lab: Lab, label: str) -> Iterator[Mail]:
    """Mail as fast as the server takes it; afterwards `Mail` says what became of it."""
    client = lab.spec_file.parent / CLIENT.name  # a folder the server sees
    client.write_text(CLIENT.read_text())
    command = [*lab.sandbox.entering(), sys.executable, "-P", str(client), label, *RECIPIENTS]
    found = Mail(label)
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield found
        output, _ = process.communicate()
    found.seconds = time.monotonic() - began
    for name, ids in json.loads(output).items():
        getattr(found, name).extend(ids)


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


def wait_for_empty_queue(lab: Lab) -> None:
    """What was in delivery at a reload waits some minutes, unless somebody asks for it."""

    def is_empty() -> bool:
        lab.run("postqueue", "-f")
        time.sleep(1)
        return "is empty" in lab.run("postqueue", "-p")

    assert eventually(is_empty, timeout=240)


def assert_all_there(lab: Lab, mail: Mail) -> list[str]:
    """Nothing was lost, refused for good, or bounced; the ids that were delivered more than once."""
    wait_for_empty_queue(lab)
    found = {each: times for each, times in delivered(lab).items() if each.startswith(f"{mail.label}-")}
    twice = [each for each, times in found.items() if times > 1]
    sys.stdout.write(f"\n{mail}, {len(found)} delivered, {len(twice)} of them twice\n")
    assert mail.refused == []
    assert not set(mail.accepted) - set(found), "accepted, but not delivered"
    assert "status=bounced" not in lab.log()
    return twice


def test_nothing_is_lost_refused_or_bounced_while_applies_follow_each_other(lab: Lab) -> None:
    text = lab.spec_file.read_text()
    (lab.spec_file.parent / "secrets/carol").write_text(password_hash("pw-carol"))
    with steady_mail(lab, "reloads") as mail:
        for number in range(APPLIES):
            change(lab, text, number)
    assert len(mail.accepted) > APPLIES * 10
    assert mail.lost == [], "a reload ends no connection"
    assert assert_all_there(lab, mail) == []
    lab.spec_file.write_text(text)
    run_verb(lab, "apply", "-y", "--no-canary")


def test_a_restart_and_its_rollback_lose_nothing(lab: Lab) -> None:
    script = lab.spec_file.parent / RESTARTING.name
    script.write_text(RESTARTING.read_text())
    # A spec that is not the one that serves, letter for letter, is rendered.
    lab.spec_file.write_text(f"# restart\n{lab.spec_file.read_text()}")
    words = (sys.executable, "-P", str(script), RESTART, "-f", str(lab.spec_file), "apply", "-y", "--no-canary")
    with steady_mail(lab, "restart") as mail:
        said = lab.run("env", *(f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()), *words)
        assert "Postfix: restart (inet_protocols changed)" in said
        run_verb(lab, "rollback", "-y")
    assert len(mail.accepted) > 20
    # A delivery that the stop cut off before Dovecot's answer is made again.
    assert_all_there(lab, mail)
    assert lab.log().count("terminating on signal 15") == 2
    assert lab.mailctl("status").returncode == 0
