"""A lab whose spec has everybody a probe may name, and ways to break its server."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mailctl.host import LocalHost
from mailctl.lab.lifecycle import bring_down, serve, start_lab
from mailctl.probe import Report, probe_sandbox, select_checks
from mailctl.sandbox import Sandbox
from mailctl.spec.hash import Scheme, hash_password
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec

SPEC = """
version: 1
server: {hostname: mx1.example.org}
tls: {certificate: /etc/ssl/mx1/fullchain.pem, key: /etc/ssl/mx1/privkey.pem}
domains:
  example.org:
    dkim: {selector: s2026a}
    mailboxes:
      ali: {password: {file: hash}, send_as: [info]}
      bob: {password: {file: slow-hash}}
      app: {password: {file: hash}, kind: smtp-user, null_sender: true}
    aliases:
      info: [ali]
      sales: [bob]
      team: [ali, bob, carol@partner.example]
      "/^ticket-[0-9]+$/": [ali]
  example.net:
    catch_all: shop
    dkim: {selector: s2026b}
    mailboxes:
      shop: {password: {file: hash}}
local_aliases: {root: ali@example.org, postmaster: ali@example.org}
relays:
  isp: {hosts: ["[smtp.isp.example]:587"], username: example, password: {file: relay-password}}
routes:
  - {to: [partner.example], via: isp}
  - {via: direct}
"""
SETTINGS = ("/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/dovecot/dovecot.conf")
CERTIFICATE, KEY = "/etc/ssl/mx1/fullchain.pem", "/etc/ssl/mx1/privkey.pem"
LONGEST_RELOAD = 30.0  # seconds, on a busy machine
RSA_KEYS = {"weak": ("1024", "-sha1"), "rsa": ("2048", "-sha256")}  # bits, digest
PASSWORD = "correct horse"


@dataclass(frozen=True)
class ProbeLab:
    """A lab that is up, and its spec."""

    name: str
    sandbox: Sandbox
    spec: Spec
    spec_file: Path
    sound: dict[str, bytes] = field(default_factory=dict, repr=False)

    def probe(self, *only: str, fast: bool = False) -> Report:
        return probe_sandbox(self.sandbox, self.spec, select_checks(only, fast=fast))

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        done = self.sandbox.run(argv, stdin=stdin)
        assert done.returncode == 0, done.complaint
        return done.stdout.decode()


@contextmanager
def started_lab(purpose: str, folder: Path, text: str = SPEC) -> Iterator[ProbeLab]:
    host, name = LocalHost(), f"{purpose}-{os.getpid()}"
    (folder / "mail.yml").write_text(text)
    (folder / "hash").write_text(hash_password(host, PASSWORD, Scheme.SHA512_CRYPT))
    (folder / "slow-hash").write_text(hash_password(host, PASSWORD))
    (folder / "relay-password").write_text("secret")
    spec = load_spec(folder / "mail.yml")
    try:
        sandbox = start_lab(host, name, spec, folder / "mail.yml", dies_with_us=True)
        serve(sandbox, spec, folder / "mail.yml")
        yield ProbeLab(name, sandbox, spec, folder / "mail.yml")
        sandbox.stop()
    finally:
        bring_down(host, name)


@dataclass(frozen=True)
class Mutation:
    """One way to break a server: parameters of main.cf, options of services, texts of files replaced.

    `port` is the only one where it shows; empty, where it may show anywhere.
    """

    name: str
    fails: tuple[str, ...]
    main: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    replace: dict[str, tuple[str, str]] = field(default_factory=dict)
    certificate: str = ""
    port: str = ""

    def apply(self, lab: ProbeLab) -> None:
        """Make a server broken in this way, and in no other, whatever it was before."""
        for path in (*SETTINGS, CERTIFICATE, KEY, *self.replace):
            lab.sound.setdefault(path, lab.sandbox.path(path).read_bytes())
        for path, content in lab.sound.items():
            lab.sandbox.path(path).write_bytes(content)
        self._break(lab)
        _reload(lab)

    @contextmanager
    def applied(self, lab: ProbeLab) -> Iterator[None]:
        """The server is broken in this block, and sound after it."""
        self.apply(lab)
        try:
            yield
        finally:
            Mutation("sound", ()).apply(lab)

    def _break(self, lab: ProbeLab) -> None:
        if self.main:
            lab.run("postconf", "-e", *(f"{name} = {value}" for name, value in self.main.items()))
        for service in ("submission", "submissions") if self.options else ():
            lab.run("postconf", "-P", *(f"{service}/inet/{name}={value}" for name, value in self.options.items()))
        for path, (old, new) in self.replace.items():
            file = lab.sandbox.path(path)
            assert old in file.read_text(), f"{path} does not hold {old!r}"
            file.write_text(file.read_text().replace(old, new))
        if self.certificate:
            _install(lab, self.certificate)


OPEN_RELAY = Mutation("open relay", ("relay.stranger",), main={"mynetworks": "0.0.0.0/0, [::]/0"})


def _install(lab: ProbeLab, kind: str) -> None:
    """A certificate that is `expired`, for `another-name`, `weak`, or `rsa`, with its key."""
    certificate, key = lab.sandbox.issue_certificate(["mx2.example.org"])
    folder = lab.sandbox.folder
    if kind == "expired":
        request = ("openssl", "req", "-new", "-key", folder / "server.key", "-subj", "/CN=mx1.example.org", "-config")
        signing = ("openssl", "x509", "-req", "-days", "-1", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key")
        certificate = _output(signing, _output((*request, folder / "openssl.cnf")))
    if kind in RSA_KEYS:
        bits, digest = RSA_KEYS[kind]
        key = _output(("openssl", "genrsa", bits))
        (folder / "rsa.key").write_bytes(key)
        command = ("openssl", "req", "-x509", digest, "-key", folder / "rsa.key", "-subj", "/CN=x", "-config")
        certificate = _output((*command, folder / "openssl.cnf"))
    lab.sandbox.path(CERTIFICATE).write_bytes(certificate)
    lab.sandbox.path(KEY).write_bytes(key)


def _output(argv: tuple[str | Path, ...], stdin: bytes = b"") -> bytes:
    done = LocalHost().run(argv, stdin=stdin)
    assert done.returncode == 0, done.complaint
    return done.stdout


def _reload(lab: ProbeLab) -> None:
    """Return once no process is left that serves by the old files."""
    old_processes = _serving(lab)
    old = time.time() - 10  # Postfix waits where its files are young
    for path in SETTINGS:
        os.utime(lab.sandbox.path(path), (old, old))
    lab.run("postfix", "reload")
    lab.run("doveadm", "reload")
    lab.run("kill", "-USR1", lab.sandbox.path("/run/opendkim/opendkim.pid").read_text().strip())
    until = time.monotonic() + LONGEST_RELOAD
    while left := _serving(lab) & old_processes:
        assert time.monotonic() < until, f"did not reload: {left}"
        time.sleep(0.02)


def _serving(lab: ProbeLab) -> set[tuple[str, str]]:
    """Name and process id of all that answer clients; Dovecot's old auth lives until the last smtpd has left it."""
    found = set()
    for file in lab.sandbox.path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has just ended
            name = file.read_text().strip()
            if name in ("smtpd", "auth", "qmgr", "cleanup", "trivial-rewrite"):
                found.add((name, file.parent.name))
    return found
