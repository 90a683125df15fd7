"""Every mode that files with secrets ever have, seen by another process while mailctl writes them.

An administrator whose umask protects nothing applies, changes, rotates, repairs and rolls back in a lab; a sampler
(mode_sampler.py) looks at each file as soon as something happens to it, whoever does it. What lies between two looks
is for the trace in test_secrets.py, which sees every system call of mailctl itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lab_kit import PROGRAMS, password_hash

from mailctl.host import LocalHost
from mailctl.lab import lifecycle
from mailctl.sandbox import Sandbox
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.spec.load import load_spec

pytestmark = pytest.mark.real

SAMPLER = Path(__file__).with_name("mode_sampler.py")
SPEC = """
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
domains:
  example.org:
    dkim: {selector: s2026a, rotate: 90d}
    mailboxes:
      ali: {password: {file: secrets/ali}}
      app: {password: {file: secrets/app}, kind: smtp-user}
relays:
  isp: {hosts: ["[smtp.isp.example]:587"], username: example, password: {file: secrets/isp}}
routes: [{via: isp}]
"""
FAULTS = {"for everybody": 0o644, "for everybody else": 0o604, "for another group": 0o640}
MOMENT = 0.01  # seconds
WATCHED = ("/etc", "/var", "/run")  # of the lab alone
EVERYBODY, GROUP = 0o007, 0o070
# Whose members may read what their service needs; everybody else's group may not.
SERVICE_GROUPS = ("dovecot", "postfix", "opendkim", "vmail")
# Where secrets are written: each of these must have been seen.
KINDS = {
    "relay passwords": r"/var/lib/mailctl/generations/[^/]+/relay_passwords$",
    "their table": r"/var/lib/mailctl/generations/[^/]+/relay_passwords\.\w+$",
    "logins": r"/etc/dovecot/mailctl\.users$",
    "logins without a mailbox": r"/etc/dovecot/mailctl\.smtp-users$",
    "signing keys": r"/etc/dkimkeys/.*\.private$",
    "the key of a certificate": r"/var/lib/mailctl/.*key\.pem$",
    "a copy of a hand-edited file": r"/var/lib/mailctl/.*mailctl\.users.*$",
}


@dataclass(frozen=True)
class Seen:
    """A file with a secret: its names, and each mode, user and group it was seen with."""

    names: tuple[str, ...]
    modes: tuple[tuple[int, int, int], ...]

    def exposures(self, groups: Iterable[int]) -> Iterator[str]:
        """How somebody else could have read it."""
        for mode, _, group in self.modes:
            if mode & EVERYBODY or (mode & GROUP and group not in groups):
                yield f"{self.names[0]}: {mode:04o} of group {group}"


@dataclass
class Sampled:
    """What a sampler saw, once its block has ended."""

    secrets: list[Seen] = field(default_factory=list)


@contextmanager
def sampling(folder: Path, marks: Iterable[str], *watched: Path) -> Iterator[Sampled]:
    """Watch `watched` for files that hold one of `marks` as long as the block lasts."""
    (folder / "marks").write_text("\n".join(marks))
    argv = [sys.executable, "-P", str(SAMPLER), str(folder / "marks"), *map(str, watched)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found = Sampled()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield found
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    seen = [json.loads(line) for line in said.splitlines()]
    found.secrets = [Seen(tuple(each["names"]), tuple(map(tuple, each["modes"]))) for each in seen if each["secret"]]


@dataclass(frozen=True)
class Administrator:
    """Somebody whose umask is 000, in a lab."""

    sandbox: Sandbox
    spec_file: Path

    def mailctl(self, *words: str) -> None:
        argv = [*self.sandbox.entering(), *python_module("mailctl", *words, "-f", str(self.spec_file))]
        done = subprocess.run(
            argv, env=PYTHON_ENVIRONMENT, umask=0, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def service_groups(self) -> frozenset[int]:
        rows = [line.split(":") for line in self.sandbox.path("/etc/group").read_text().splitlines()]
        return frozenset(int(number) for name, _, number, _ in rows if name in SERVICE_GROUPS)

    def write_secret(self, name: str, content: str) -> str:
        """A secret the spec names; the text that is its own."""
        path = self.spec_file.parent / "secrets" / name
        path.write_text(content)
        path.chmod(0o600)
        return content.rpartition("$")[2]


@pytest.fixture
def administrator(tmp_path: Path, require_root: None, require_tools: Callable[..., None]) -> Iterator[Administrator]:
    require_tools(*PROGRAMS)
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "mail.yml").write_text(SPEC)
    for name in ("ali", "app", "isp"):
        (tmp_path / "secrets" / name).write_text(password_hash(name) if name != "isp" else "first-plain-7d1c")
    host, name, spec = LocalHost(), f"modes-{os.getpid()}", load_spec(tmp_path / "mail.yml")
    sandbox = lifecycle.start_lab(host, name, spec, tmp_path / "mail.yml", dies_with_us=True)
    try:
        yield Administrator(sandbox, tmp_path / "mail.yml")
    finally:
        lifecycle.bring_down(host, name)
        sandbox.stop()


def test_no_secret_is_ever_readable_by_others(administrator: Administrator, tmp_path: Path) -> None:
    inside = [administrator.sandbox.path(folder) for folder in WATCHED]
    users = administrator.sandbox.path("/etc/dovecot/mailctl.users")
    marks = [administrator.write_secret(name, password_hash(f"pw-{name}")) for name in ("ali", "app")]
    marks += [administrator.write_secret("isp", "plain-canary-41c7"), "plain-canary-later-8f2e", "PRIVATE KEY"]
    with sampling(tmp_path, marks, *inside) as sampled:
        administrator.mailctl("apply", "-y")
        administrator.write_secret("isp", "plain-canary-later-8f2e")
        administrator.mailctl("apply", "-y")
        administrator.mailctl("dkim", "keygen", "example.org")
        users.write_text(users.read_text() + "# by hand\n")
        administrator.mailctl("apply", "-y", "--overwrite", "--no-canary")
        administrator.mailctl("rollback", "-y")
    groups = administrator.service_groups()
    assert [each for seen in sampled.secrets for each in seen.exposures(groups)] == []
    names = [name for seen in sampled.secrets for name in seen.names]
    assert [kind for kind, pattern in KINDS.items() if not any(re.search(pattern, name) for name in names)] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_the_sampler_sees_a_secret_that_is_private_again_soon(fault: str, tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    with sampling(tmp_path, ["canary"], watched) as sampled:
        for number in range(30):
            path = watched / f"folder-{number}" / "secret"
            path.parent.mkdir()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.fchmod(descriptor, FAULTS[fault])
            os.write(descriptor, b"canary")
            time.sleep(MOMENT)
            os.fchmod(descriptor, 0o600)
            os.close(descriptor)
            path.rename(watched / f"renamed-{number}")
    assert any(list(seen.exposures(frozenset())) for seen in sampled.secrets)


def test_the_sampler_takes_private_files_for_what_they_are(tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    with sampling(tmp_path, ["canary"], watched) as sampled:
        (watched / "public").write_text("nothing")
        descriptor = os.open(watched / "secret", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, b"canary")
        os.close(descriptor)
    assert [seen.names for seen in sampled.secrets] == [(str(watched / "secret"),)]
    assert [each for seen in sampled.secrets for each in seen.exposures(frozenset())] == []
