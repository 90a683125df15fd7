"""What tests do with a lab: mail in and out, programs inside, verbs as a user types them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mailctl.host import LocalHost
from mailctl.lab.mail import Outcome, Submission, compose, read_newest, send
from mailctl.sandbox import ReceivedMessage, Sandbox
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT

Found = TypeVar("Found")

EXAMPLE = Path(__file__).parents[2] / "examples/mail.yml"
# One domain, one mailbox, one key: for tests that need no more.
SMALL_SPEC = """
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
domains:
  example.org:
    dkim: {selector: s2026a}
    mailboxes: {ali: {password: {hash: "HASH"}}}
"""
PLAIN_SECRETS = ("ses", "isp")
DELIVERY_TIMEOUT = 30.0  # seconds
PROGRAMS = ("postfix", "postmap", "dovecot", "doveadm", "opendkim", "unshare", "nsenter", "setpriv", "ip", "openssl")


def password_of(login: str) -> str:
    """The password of every login of a lab: made from its localpart."""
    return f"pw-{login.partition('@')[0]}"


@dataclass(frozen=True)
class Lab:
    """A running lab, and what a test does with it."""

    name: str
    spec_file: Path
    sandbox: Sandbox

    def send(
        self, sender: str, *recipients: str, subject: str = "test", body: str = "hello", **options: object
    ) -> Outcome:
        """Mail from outside to port 25, or another `port`; see Submission for the options."""
        content = compose(sender, recipients, subject, body)
        return send(self.sandbox, Submission(sender, recipients, content, **options))  # type: ignore[arg-type]

    def submit(self, login: str, *recipients: str, sender: str = "", port: int = 587, **options: object) -> Outcome:
        """Mail from a login of the server, sent as itself where no other `sender` is given."""
        return self.send(sender or login, *recipients, port=port, login=login, password=password_of(login), **options)

    def newest(self, login: str) -> bytes | None:
        """The newest message in the INBOX of `login`, over IMAPS."""
        return read_newest(self.sandbox, login, password_of(login))

    def wait_for_mail(self, login: str, text: str) -> bytes:
        """The newest message of `login`, once it holds `text`."""

        def arrived() -> bytes | None:
            found = self.newest(login)
            return found if found and text.encode() in found else None

        return self.wait_for(arrived, f"no mail with {text!r} reached {login}")

    def wait_for_left(self, recipient: str) -> ReceivedMessage:
        """The newest message that reached the world for `recipient`."""

        def left() -> ReceivedMessage | None:
            return next((each for each in reversed(self.sandbox.messages()) if recipient in each.recipients), None)

        return self.wait_for(left, f"no mail for {recipient} left")

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        """What a program prints that runs inside and succeeds."""
        done = self.sandbox.run(argv, stdin=stdin)
        assert done.returncode == 0, f"{argv}: {done.complaint}"
        return done.stdout.decode()

    def mailctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`mailctl --lab ARGUMENTS` of this lab, as a user would type it."""
        return run_mailctl(f"--lab={self.name}", *arguments)

    def log(self) -> str:
        return self.sandbox.path("/var/log/mail.log").read_text()

    def wait_for(self, find: Callable[[], Found | None], complaint: str) -> Found:
        deadline = time.monotonic() + DELIVERY_TIMEOUT
        while (found := find()) is None:
            assert time.monotonic() < deadline, f"{complaint}\n{self.log()}"
            time.sleep(0.05)
        return found


def processes_naming(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def run_mailctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "mailctl", *arguments],
        env=PYTHON_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_example(folder: Path) -> Path:
    """The example spec in `folder`, with the secrets it names."""
    text = EXAMPLE.read_text()
    (folder / "secrets").mkdir()
    for name in sorted(set(re.findall(r"secrets/(\w+)", text))):
        secret = f"plain-{name}" if name in PLAIN_SECRETS else password_hash(f"pw-{name}")
        (folder / "secrets" / name).write_text(secret)
        (folder / "secrets" / name).chmod(0o600)
    (folder / "mail.yml").write_text(text)
    return folder / "mail.yml"


def write_small_spec(folder: Path, dkim: str = "{selector: s2026a}") -> Path:
    """SMALL_SPEC in `folder`; the password of its mailbox is the usual one."""
    text = SMALL_SPEC.replace("{selector: s2026a}", dkim).replace("HASH", password_hash(password_of("ali")))
    (folder / "mail.yml").write_text(text)
    return folder / "mail.yml"


def password_hash(password: str) -> str:
    # The cheapest of the schemes the spec takes: tests log in often.
    done = LocalHost().run(["doveadm", "pw", "-s", "SHA512-CRYPT", "-r", "1000", "-p", password])
    assert done.returncode == 0, done.complaint
    return done.stdout.decode().strip()
