"""apply --confirm-within on a real server without systemd: the guard is a process of its own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_kit import Lab, password_hash, write_example

from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from tests.waiting import eventually

pytestmark = pytest.mark.real

STRANGER = "stranger@partner.example"
UNKNOWN = "nobody@example.org"
# Long enough that a busy machine looks at what waits before it is undone.
UNATTENDED, UNDONE = "30s", 120.0  # seconds


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return start_lab(write_example(tmp_path_factory.mktemp("confirm")))


@pytest.fixture
def spec(lab: Lab) -> Iterator[Path]:
    """The spec with one mailbox more than what serves; both as before after the test."""
    text = lab.spec_file.read_text()
    (lab.spec_file.parent / "secrets/carol").write_text(password_hash("pw-carol"))
    row = "      carol: {password: {file: secrets/carol}}\n    aliases:\n      info"
    lab.spec_file.write_text(text.replace("    aliases:\n      info", row))
    yield lab.spec_file
    lab.spec_file.write_text(text)
    lab.mailctl("rollback", "-y")
    assert lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--no-canary").returncode == 0


def apply(lab: Lab, spec: Path, within: str) -> None:
    done = lab.mailctl("-f", str(spec), "apply", "-y", "--no-canary", "--confirm-within", within)
    assert done.returncode == 0, done.stderr
    assert "refuses nothing for good" in done.stderr


def code_for(lab: Lab, recipient: str) -> int:
    return lab.send(STRANGER, recipient).replies[recipient].code


def contents(lab: Lab) -> str:
    return lab.run(
        "sh", "-c", "find /etc/postfix /etc/dovecot /etc/opendkim -type f -not -name '.*' | sort | xargs sha256sum"
    )


def test_confirmed_it_stays_and_refuses_for_good_again(lab: Lab, spec: Path) -> None:
    apply(lab, spec, "60s")
    assert code_for(lab, "carol@example.org") == 250
    assert code_for(lab, UNKNOWN) == 450
    assert "waits for a confirmation" in lab.mailctl("-f", str(spec), "apply", "-y").stderr
    assert lab.mailctl("status").returncode == 1
    done = lab.mailctl("confirm")
    assert done.returncode == 0, done.stderr
    assert code_for(lab, UNKNOWN) == 550
    assert lab.mailctl("status").returncode == 0
    assert lab.mailctl("confirm").returncode == 1


def test_unconfirmed_it_is_undone_at_its_time_though_nobody_is_there(lab: Lab, spec: Path) -> None:
    before = contents(lab)
    apply(lab, spec, UNATTENDED)
    assert contents(lab) != before
    assert eventually(lambda: contents(lab) == before and lab.mailctl("status").returncode == 0, UNDONE)
    assert code_for(lab, "carol@example.org") == 550
    assert "an unconfirmed apply was undone" in lab.log()


def test_killed_between_commit_and_reload_it_is_undone_by_the_guard(lab: Lab, spec: Path) -> None:
    before = contents(lab)
    script = """
        "$@" & pid=$!
        until test -e /etc/postfix/.main.cf.mailctl-old; do kill -0 $pid || exit 9; done
        kill -KILL $pid
    """
    argv = (*lab_command(spec), "apply", "-y", "--no-canary", "--confirm-within", UNATTENDED)
    done = lab.sandbox.run(["sh", "-c", script, "sh", *argv])
    assert done.returncode == 0, done.complaint
    assert journals(lab)
    assert eventually(lambda: contents(lab) == before and not journals(lab), UNDONE)
    assert code_for(lab, UNKNOWN) == 550


def test_rollback_does_not_wait(lab: Lab, spec: Path) -> None:
    before = contents(lab)
    apply(lab, spec, "60s")
    assert lab.mailctl("rollback", "-y").returncode == 0
    assert contents(lab) == before
    assert code_for(lab, UNKNOWN) == 550


def test_of_confirmation_and_deadline_exactly_one_wins(lab: Lab, spec: Path) -> None:
    before = contents(lab)
    done = lab.mailctl("-f", str(spec), "apply", "-y", "--no-canary", "--confirm-within", "5s")
    assert done.returncode == 0
    # A slow machine may have undone it by now: then the deadline has won.
    deadline = next((json.loads(line)["deadline"] for line in journal_lines(lab) if '"deadline"' in line), 0)
    # Starting takes about half a second, so that it arrives around the deadline.
    time.sleep(max(deadline - time.time() - 0.5, 0))
    confirmed = lab.mailctl("confirm").returncode == 0
    assert eventually(lambda: not journals(lab), UNDONE)
    assert (contents(lab) != before) is confirmed
    assert (code_for(lab, "carol@example.org") == 250) is confirmed
    assert code_for(lab, UNKNOWN) == 550


def lab_command(spec: Path) -> list[str]:
    environment = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
    return ["env", *environment, sys.executable, "-P", "-m", "mailctl", "-f", str(spec)]


def journal_lines(lab: Lab) -> list[str]:
    return lab.run("find", "/var/lib/mailctl/journal", "-type", "f", "-exec", "cat", "{}", "+").splitlines()


def journals(lab: Lab) -> list[str]:
    return lab.run("ls", "/var/lib/mailctl/journal").split()
