"""Secrets on their way through an apply: private from creation, in no argument, no environment, no output, no log.

One apply runs under strace in a lab, with a umask that protects nothing. Each secret holds a text found nowhere else.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab_kit import EXAMPLE, PROGRAMS, Lab, password_hash
from traced import ModeChange, Trace, trace

from mailctl.components.registry import render_tree
from mailctl.host import CLEAN_ENVIRONMENT, SYSTEM_PATH, LocalHost
from mailctl.lab import lifecycle
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12

pytestmark = pytest.mark.real

# All that mailctl ever runs in an apply; whatever else a service starts is its own.
ALLOWED = {
    "dovecot",
    "doveadm",
    "doveconf",
    "opendkim",
    "openssl",
    "postalias",
    "postconf",
    "postfix",
    "postmap",
    "stat",
    "systemctl",
    # The outside that the live server is probed from, and the new lines of its log.
    "ip",
    "setpriv",
    "tail",
}
PLAIN = {"ses": "canary-plain-ses-8f2e", "isp": "canary-plain-isp-41c7"}
# Where a secret may rest: the services' own files, and the stored copies of a generation.
HOMES = re.compile(
    r"/etc/dovecot/mailctl\.(users|smtp-users)"
    r"|/var/lib/mailctl/generations/[0-9a-f]{12}/relay_passwords(\.\w+)?"
    r"|/var/lib/mailctl/.*"
)
WORLD = stat.S_IRWXO
LOOKING = (
    ("apply", "--check", "--diff"),
    ("plan",),
    ("validate",),
    ("route", "x@partner.example"),
    ("status",),
    ("history",),
    ("tls", "check"),
)


@dataclass(frozen=True)
class Traced:
    """The lab, the trace of the apply in it, and the texts to look for."""

    lab: Lab
    trace: Trace
    canaries: tuple[str, ...]

    def real(self, path: str) -> Path:
        return self.lab.sandbox.path(path)


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, require_root: None, require_tools: Callable[..., None]
) -> Iterator[Traced]:
    require_tools("strace", *PROGRAMS)
    folder = tmp_path_factory.mktemp("secret")
    spec_file, hashes = _write_spec(folder)
    name = f"secrets-{os.getpid()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISP_PASSWORD", PLAIN["isp"])
        host, spec = LocalHost(), load_spec(spec_file)
        sandbox = lifecycle.start_lab(host, name, spec, spec_file, dies_with_us=True)
        try:
            apply = [
                *sandbox.entering(),
                *python_module("mailctl", "apply", "-v", "-y", "--no-canary", "-f", str(spec_file)),
            ]
            found = trace(apply, folder, umask=0, environment=os.environ | PYTHON_ENVIRONMENT)
            yield Traced(Lab(name, spec_file, sandbox), found, (*PLAIN.values(), *hashes))
        finally:
            lifecycle.bring_down(host, name)
            sandbox.stop()


def _write_spec(folder: Path) -> tuple[Path, list[str]]:
    """The example spec: mailbox hashes and one relay password in files, the other password in the environment."""
    (folder / "secrets").mkdir(mode=0o700)
    text = EXAMPLE.read_text().replace("password: {file: secrets/isp}", "password: {env: ISP_PASSWORD}")
    hashes = []
    for name in sorted(set(re.findall(r"secrets/(\w+)", text))):
        secret = PLAIN.get(name) or password_hash(f"pw-{name}")
        if name not in PLAIN:
            hashes.append(secret.rpartition("$")[2])
        (folder / "secrets" / name).write_text(secret)
        (folder / "secrets" / name).chmod(0o600)
    (folder / "mail.yml").write_text(text)
    return folder / "mail.yml", hashes


def test_the_apply_succeeds(traced: Traced) -> None:
    assert traced.trace.returncode == 0, traced.trace.stderr


def test_only_known_programs_run_with_a_clean_environment(traced: Traced) -> None:
    """argv lists of absolute programs; no shell, nothing of the user's environment."""
    mailctl = _mailctl(traced.trace)
    executions = reversed([each for each in traced.trace.executions() if each.parent == mailctl])
    # What a program then becomes, as postfix(1) becomes its script, is its own business.
    started = {each.pid: each for each in executions}.values()
    assert len(started) > 20
    assert {Path(each.program).name for each in started} <= ALLOWED | {"imap", "lmtp"}
    assert {str(Path(each.program).parent) for each in started} <= {*SYSTEM_PATH, "/usr/lib/dovecot"}
    assert {tuple(sorted(each.environment)) for each in started} == {
        tuple(sorted(f"{name}={value}" for name, value in CLEAN_ENVIRONMENT.items()))
    }


def test_no_secret_in_an_argument_or_an_environment(traced: Traced) -> None:
    """Of mailctl's own start the environment holds the password the spec takes from there; nobody else sees it."""
    programs = list(traced.trace.executions())
    own = {each.pid for each in programs if "mailctl" in each.argv}
    for each in programs:
        words = each.argv if each.pid in own else (*each.argv, *each.environment)
        assert [word for word in words for canary in traced.canaries if canary in word] == [], each.program


def test_no_file_is_ever_wider_than_in_the_end(traced: Traced) -> None:
    """Made with the umask 0, so that the mode asked for is the mode it gets."""
    own = _own_processes(traced.trace)
    changes = [each for each in traced.trace.mode_changes() if each.pid in own and each.path.startswith("/")]
    finals = dict(traced.trace.renames())
    seen = 0
    for each in changes:
        final = _final_mode(traced, each, finals)
        if final is not None:
            seen += 1
            assert each.mode & ~final & 0o777 == 0, f"{each.path}: {each.mode:o} before it became {final:o}"
    assert seen > 30


def test_files_have_the_mode_and_owner_they_were_rendered_with(traced: Traced) -> None:
    host = LocalHost(traced.real("/"))
    for file in render_tree(load_spec(traced.lab.spec_file), DEBIAN_12):
        state = host.stat(file.path)
        assert state is not None, file.path
        assert (state.mode, state.owner, state.group) == (file.mode, file.owner, file.group), file.path


def test_secrets_rest_only_in_private_files(traced: Traced) -> None:
    found: list[str] = []
    for folder in ("/etc", "/var", "/run"):
        for path in _regular_files(traced.real(folder)):
            inside = "/" + str(path.relative_to(traced.real("/")))
            content = path.read_bytes()
            if any(canary.encode() in content for canary in traced.canaries):
                found.append(inside)
                assert HOMES.fullmatch(inside), inside
                assert path.stat().st_mode & WORLD == 0 or _is_shut(path, traced.real("/")), inside
    assert any(name.endswith("/relay_passwords") for name in found)
    assert "/etc/dovecot/mailctl.users" in found


def test_no_verb_prints_a_secret(traced: Traced) -> None:
    """Everything mailctl prints, messages about mistakes included, and the log of the mail."""
    lab, spec = traced.lab, str(traced.lab.spec_file)
    broken = traced.lab.spec_file.with_name("broken.yml")
    broken.write_text(
        lab.spec_file.read_text().replace("tls: encrypt", "tls: none").replace("kind: smtp-user", "kind: x")
    )
    changed = traced.lab.spec_file.with_name("changed.yml")
    changed.write_text(lab.spec_file.read_text().replace("username: example", "username: changed"))
    literal = traced.lab.spec_file.with_name("literal.yml")
    literal.write_text(lab.spec_file.read_text().replace("{env: ISP_PASSWORD}", PLAIN["isp"]))
    verbs = [(*options, "-f", spec, *verb) for options in ((), ("--json",)) for verb in LOOKING]
    verbs += [("-v", "-f", str(file), *verb) for file in (broken, changed, literal) for verb in LOOKING[:3]]
    verbs += [("--json", "-f", str(file), "validate") for file in (broken, literal)]
    texts = {verb: _say(traced.lab, *verb) for verb in verbs}
    texts["apply",] = traced.trace.stdout + traced.trace.stderr
    texts["log",] = lab.log()
    assert all(texts.values())
    leaks = [verb for verb, text in texts.items() for canary in traced.canaries if canary in text]
    assert leaks == []


def _say(lab: Lab, *words: str) -> str:
    """All that `mailctl --lab` prints with the password in its environment; it has something to say and no fault."""
    argv = [sys.executable, "-P", "-m", "mailctl", f"--lab={lab.name}", *words]
    environment = PYTHON_ENVIRONMENT | {"ISP_PASSWORD": PLAIN["isp"]}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "unexpected" not in done.stderr
    if str(lab.spec_file) in words:
        assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _own_processes(found: Trace) -> set[int]:
    """mailctl itself and the programs it runs, but not the services these start."""
    builders = {"postmap", "postalias", "openssl"}
    return {_mailctl(found)} | {each.pid for each in found.executions() if Path(each.program).name in builders}


def _mailctl(found: Trace) -> int:
    """The process that is mailctl, and not nsenter on its way to it."""
    (pid,) = {each.pid for each in found.executions() if "mailctl" in each.argv and "python" in each.program}
    return pid


def _final_mode(traced: Traced, change: ModeChange, renames: dict[str, str]) -> int | None:
    """The mode of the file at the end; None where it is gone, or is a device."""
    path = change.path
    while path in renames:
        path = renames[path]
    real = traced.real(path)
    if not (real.is_file() or real.is_dir()):
        return None
    return stat.S_IMODE(real.lstat().st_mode)


def _regular_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 10**7:
                yield path


def _is_shut(path: Path, top: Path) -> bool:
    """Whether a folder above lets nobody but its owner in."""
    folders = [each for each in path.parents if each.is_relative_to(top)]
    return any(each.stat().st_mode & WORLD == 0 for each in folders)
