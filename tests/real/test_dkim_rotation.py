"""A rotation on a real server: OpenDKIM signs, a DNS server shows the records, `dkim verify` reads what left."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab_kit import Lab, run_mailctl, write_small_spec

from mailctl.dkim.public_key import KeyAnswer
from mailctl.dkim.signature import Verdict
from mailctl.dkim.states import Stage, list_keys, states_path
from mailctl.dkim.verify import verify_message
from mailctl.host import LocalHost
from mailctl.lab.mail import compose
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from mailctl.target import DEBIAN_12

if TYPE_CHECKING:
    from conftest import StartLab

pytestmark = pytest.mark.real

DOMAIN = "example.org"


class Rotation:
    """The lab, its administrator, and the mail that left so far."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mails: list[Path] = []

    @property
    def host(self) -> LocalHost:
        return LocalHost(self.lab.sandbox.path("/"))

    def dkim(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.lab.mailctl("dkim", *words, "-f", str(self.lab.spec_file))

    def rotate(self) -> subprocess.CompletedProcess[str]:
        return self.lab.mailctl("dkim", "rotate", DOMAIN, "--json", "-f", str(self.lab.spec_file))

    def publish(self) -> None:
        """The administrator puts into the DNS what mailctl says."""
        done = run_mailctl("lab", "publish", "--name", self.lab.name, "-f", str(self.lab.spec_file))
        assert done.returncode == 0, done.stderr

    def stages(self) -> dict[str, Stage]:
        return {state.key.selector: state.stage for state in list_keys(self.host, DEBIAN_12)}

    def pass_days(self, days: int) -> None:
        """Every stamp in the states becomes older, and the mail of before has arrived."""
        path = states_path(DEBIAN_12, DOMAIN)
        real = self.lab.sandbox.path(path)
        earlier = lambda match: (datetime.fromisoformat(match[0]) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
        real.write_text(re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", earlier, real.read_text()))
        self.mails.clear()

    def send(self) -> str:
        """Mail leaves; the selector it was signed with. All mail that is on its way must verify."""
        recipient = f"bob{len(self.lab.sandbox.messages())}@world.example"
        message = compose(f"ali@{DOMAIN}", (recipient,), "test", "hello")
        self.lab.run("/usr/sbin/sendmail", "-f", f"ali@{DOMAIN}", recipient, stdin=message)
        content = self.lab.wait_for_left(recipient).content
        file = self.lab.spec_file.with_name(f"{recipient}.eml")
        file.write_bytes(content)
        self.mails.append(file)
        self.verify_all()
        return re.search(rb"DKIM-Signature:[^:]*?\bs=([^;\s]+)", content)[1].decode()

    def verify_all(self) -> None:
        """What the world says of all mail on its way, with the records it sees now."""
        for file in self.mails:
            (signature,) = verify_message(file.read_bytes(), self._find_key, datetime.now(UTC), str).signatures
            assert signature.verdict is Verdict.PASS, signature

    def _find_key(self, name: str) -> KeyAnswer:
        texts = self.lab.sandbox.zone().get(name, {}).get("TXT", [])
        return KeyAnswer("".join(re.findall(r'"([^"]*)"', texts[0]))) if texts else KeyAnswer(problem="nxdomain")

    def verified(self, file: Path) -> dict[str, Any]:
        """The same by the command, which asks the DNS of the lab."""
        return json.loads(self.dkim("verify", "--json", str(file)).stdout)


@pytest.fixture(scope="module")
def rotation(
    start_lab: StartLab, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Rotation:
    require_tools("doveadm")
    file = write_small_spec(tmp_path_factory.mktemp("rotation"), dkim="{selector: s2026a, rotate: 90d}")
    return Rotation(start_lab(file))


def test_a_whole_rotation_without_a_gap(rotation: Rotation) -> None:
    assert rotation.send() == "s2026a"
    made = rotation.rotate()
    assert made.returncode == 0, made.stderr
    new = json.loads(made.stdout)["domains"][0]["done"]["selector"]

    refused = rotation.rotate()
    assert refused.returncode == 1
    assert "ns1.world.example" in refused.stdout
    assert "nxdomain" in refused.stdout
    assert rotation.send() == "s2026a"

    rotation.publish()
    assert rotation.send() == "s2026a"
    assert rotation.rotate().returncode == 0
    assert rotation.lab.wait_for(lambda: rotation.send() == new or None, "the new key does not sign")
    assert rotation.verified(rotation.mails[0])["verified"]
    assert rotation.verified(rotation.mails[-1])["signatures"][0]["selector"] == new

    assert rotation.rotate().returncode == 0, "only a date to wait for"
    assert rotation.stages() == {"s2026a": Stage.REPLACED, new: Stage.SIGNING}
    rotation.pass_days(8)
    assert rotation.send() == new
    assert rotation.rotate().returncode == 0
    assert rotation.stages()["s2026a"] is Stage.RETIRED
    kept = rotation.rotate()
    assert kept.returncode == 1
    assert "still shows the key" in kept.stdout

    rotation.publish()
    assert rotation.send() == new
    assert rotation.rotate().returncode == 0
    assert rotation.stages() == {"s2026a": Stage.DELETED, new: Stage.SIGNING}
    assert not rotation.lab.sandbox.path("/etc/dkimkeys/example.org/s2026a.private").exists()
    rotation.publish()
    assert rotation.send() == new


def test_an_apply_and_a_rollback_keep_the_key_that_signs(rotation: Rotation) -> None:
    """And an apply finds nothing to do: the rotation is no generation."""
    assert rotation.stages()["s2026a"] is Stage.DELETED
    new = rotation.send()
    assert new != "s2026a"
    plan = rotation.lab.mailctl("plan", "--detailed-exitcode", "-f", str(rotation.lab.spec_file))
    assert plan.returncode == 0, plan.stdout
    changed = rotation.lab.spec_file.with_name("changed.yml")
    changed.write_text(rotation.lab.spec_file.read_text() + "    aliases: {info: [ali]}\n")
    applied = rotation.lab.mailctl("apply", "-y", "--no-canary", "-f", str(changed))
    assert applied.returncode == 0, applied.stderr
    assert rotation.send() == new
    undone = rotation.lab.mailctl("rollback", "-y")
    assert undone.returncode == 0, undone.stderr
    assert rotation.send() == new
    assert not rotation.lab.sandbox.path("/etc/dkimkeys/example.org/s2026a.private").exists()


def test_a_message_that_was_changed_and_one_without_signature_fail(rotation: Rotation, tmp_path: Path) -> None:
    rotation.send()
    good = rotation.mails[-1]
    changed, bare = good.with_name("changed.eml"), good.with_name("bare.eml")
    changed.write_bytes(good.read_bytes().replace(b"hello", b"hallo"))
    bare.write_bytes(b"From: ali@example.org\r\n\r\nhello\r\n")
    found = rotation.dkim("verify", str(changed))
    assert (found.returncode, "the body was changed" in found.stdout) == (1, True), found.stdout
    found = rotation.dkim("verify", str(bare))
    assert (found.returncode, found.stdout) == (1, "the message is not signed\n")


def test_the_private_key_of_a_signature_may_be_named_by_file(rotation: Rotation) -> None:
    rotation.send()
    selector = rotation.verified(rotation.mails[-1])["signatures"][0]["selector"]
    record = f"/etc/dkimkeys/{DOMAIN}/{selector}.txt"
    found = rotation.dkim("verify", "--key-file", record, str(rotation.mails[-1]))
    assert (found.returncode, "pass" in found.stdout) == (0, True), found.stdout + found.stderr


def test_a_timer_that_is_killed_goes_on_next_time(rotation: Rotation) -> None:
    """Killed at many moments of a step, never without a key that signs and verifies."""
    before = rotation.send()
    assert rotation.dkim("keygen", DOMAIN).returncode == 0
    rotation.publish()
    command = [f"--lab={rotation.lab.name}", "dkim", "rotate", "--auto", "-f", str(rotation.lab.spec_file)]
    for delay in (0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mailctl", *command],
            env=PYTHON_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        rotation.send()
    ended = rotation.lab.mailctl(*command[1:])
    assert ended.returncode == 0, ended.stderr
    assert rotation.lab.wait_for(lambda: rotation.send() != before or None, "the new key does not sign")
    assert list(rotation.stages().values()).count(Stage.SIGNING) == 1
