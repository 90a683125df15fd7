"""The doctor at a real server: well when it is well, and one fault per row that each check must find."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lab_kit import SMALL_SPEC, Lab, write_small_spec

from mailctl.dkim.key_table import key_table
from mailctl.dkim.keys import ensure_key, key_of
from mailctl.dkim.states import KeyState, states_path, write_states
from mailctl.host import LocalHost
from mailctl.target import DEBIAN_12

if TYPE_CHECKING:
    from conftest import StartLab

pytestmark = pytest.mark.real

DOMAIN = "example.org"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CERTIFICATE = "/var/lib/mailctl/tls/cert.pem"


@pytest.fixture(scope="module")
def lab(start_lab: StartLab, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    require_tools("doveadm", "df", "postqueue")
    file = write_small_spec(tmp_path_factory.mktemp("doctor"))
    started = start_lab(file)
    assert started.send("bob@world.example", f"ali@{DOMAIN}").is_accepted
    return started


def doctor(lab: Lab, *words: str, spec: str = "mail.yml") -> subprocess.CompletedProcess[str]:
    return lab.mailctl("doctor", *words, "-f", str(lab.spec_file.with_name(spec)))


def findings(lab: Lab, check: str, spec: str = "mail.yml") -> list[dict[str, Any]]:
    done = doctor(lab, "--only", check, "--json", spec=spec)
    assert done.stderr == ""
    (found,) = json.loads(done.stdout)["checks"]
    is_failed = any(each["verdict"] == "fail" for each in found["findings"])
    assert done.returncode == (1 if is_failed else 0)
    return found["findings"]


def test_a_server_that_is_well(lab: Lab) -> None:
    done = doctor(lab, "--json")
    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    unwell = {name: each["findings"] for name, each in found.items() if each["verdict"] not in ("ok", "skip")}
    # The clock is that of the machine, and the lab's DNS shows no more than a lab needs.
    assert set(unwell) <= {"clock", "dns"}, unwell
    assert {"services", "ports", "drift", "certificates", "dkim", "queue", "log", "disk"} <= {
        name for name, each in found.items() if each["verdict"] == "ok"
    }
    assert all(each["seconds"] < 20 for each in found.values())


Undo = Callable[[], object]


@dataclass(frozen=True)
class Fault:
    """What is done to the server, the check that must say so, and about what; `do` returns what undoes it."""

    name: str
    check: str
    verdict: str
    subject: str
    remedy: str
    do: Callable[[Lab], Undo]
    spec: str = "mail.yml"


def replace_file(path: str, change: Callable[[bytes], bytes]) -> Callable[[Lab], Undo]:
    def do(lab: Lab) -> Undo:
        real = lab.sandbox.path(path)
        before, stat = real.read_bytes(), real.stat()
        real.write_bytes(change(before))

        def undo() -> None:
            real.write_bytes(before)
            real.chmod(stat.st_mode)

        return undo

    return do


def kill_signer(lab: Lab) -> Undo:
    lab.run("sh", "-c", "kill $(cat /run/opendkim/opendkim.pid); while pgrep -x opendkim; do sleep 0.05; done")
    return lambda: lab.run("opendkim")


def stop_dovecot(lab: Lab) -> Undo:
    lab.run("doveadm", "stop")
    lab.wait_for(lambda: not lab.sandbox.path("/run/dovecot/master.pid").exists() or None, "dovecot runs on")
    return lambda: lab.run("dovecot")


def stop_postfix(lab: Lab) -> Undo:
    lab.run("postfix", "stop")
    return lambda: lab.run("postfix", "start")


def open_key(lab: Lab) -> Undo:
    path = str(key_of(DEBIAN_12, DOMAIN, "s2026a").path)
    lab.run("chmod", "0644", path)
    return lambda: lab.run("chmod", "0600", path)


def with_states(*states: KeyState) -> Callable[[Lab], Undo]:
    def do(lab: Lab) -> Undo:
        host = LocalHost(lab.sandbox.path("/"))
        write_states(host, DEBIAN_12, DOMAIN, states)
        table = lab.sandbox.path(key_table(DEBIAN_12))
        before = table.read_bytes()
        from mailctl.dkim.key_table import render_key_table

        table.write_bytes(render_key_table(DEBIAN_12, states))

        def undo() -> None:
            lab.sandbox.path(states_path(DEBIAN_12, DOMAIN)).unlink()
            table.write_bytes(before)

        return undo

    return do


def take_over_unheard(lab: Lab) -> Undo:
    """Another key is to sign, and OpenDKIM was not told."""
    new = key_of(DEBIAN_12, DOMAIN, "s2")
    ensure_key(LocalHost(lab.sandbox.path("/")), DEBIAN_12, new, 2048)
    lab.run("chown", "opendkim:opendkim", str(new.path))
    first = state("s2026a", NOW - 9 * DAY, signs=NOW - 9 * DAY, replaced=NOW, replaced_by="s2")
    undo = with_states(first, state("s2", NOW - DAY, signs=NOW))(lab)

    def remove() -> None:
        undo()
        lab.run("rm", str(new.path), str(new.record_path))

    return remove


def state(selector: str, made: datetime, **fields: Any) -> KeyState:
    return KeyState(key_of(DEBIAN_12, DOMAIN, selector), made, **fields)


def renew_certificate(days: int) -> Callable[[Lab], Undo]:
    """Another certificate for the same key, of which nobody was told."""

    def do(lab: Lab) -> Undo:
        before = lab.sandbox.path(CERTIFICATE).read_bytes()
        key = CERTIFICATE.replace("cert.pem", "key.pem")
        name = ("-subj", "/CN=mx1.example.org", "-addext", "subjectAltName=DNS:mx1.example.org")
        lab.run("openssl", "req", "-x509", "-key", key, *name, "-days", str(days), "-out", CERTIFICATE)
        return lambda: lab.sandbox.path(CERTIFICATE).write_bytes(before)

    return do


def fill_the_mail_store(lab: Lab) -> Undo:
    lab.run("mount", "-t", "tmpfs", "-o", "size=1m", "none", "/var/vmail")
    lab.run("sh", "-c", "head -c 1040000 /dev/zero > /var/vmail/full")
    return lambda: lab.run("umount", "/var/vmail")


def use_up_inodes(lab: Lab) -> Undo:
    lab.run("mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=20", "none", "/var/vmail")
    lab.run("sh", "-c", "for each in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do touch /var/vmail/$each; done")
    return lambda: lab.run("umount", "/var/vmail")


def other_spec(lab: Lab) -> Undo:
    text = lab.spec_file.read_text() + "    aliases: {info: [ali]}\n"
    lab.spec_file.with_name("more.yml").write_text(text)
    return lambda: None


def broken_spec(lab: Lab) -> Undo:
    lab.spec_file.with_name("broken.yml").write_text(SMALL_SPEC.replace("selector", "selektor"))
    return lambda: None


def give_dovecot_up(lab: Lab) -> Undo:
    text = lab.spec_file.read_text().replace("mx1.example.org", "mx1.example.org, role: backup-mx")
    lab.spec_file.with_name("backup.yml").write_text(text)
    return lambda: None


OLD = state("s2026a", NOW - 500 * DAY, signs=NOW - 500 * DAY)
FATAL = "{stamp} mx1 postfix/smtpd[99]: fatal: no SASL authentication mechanisms\n"


def fatal_line(text: bytes) -> bytes:
    return text + FATAL.format(stamp=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000000+00:00}").encode()


FAULTS = [
    Fault("the spec is broken", "environment", "fail", "spec", "mailctl validate", broken_spec, "broken.yml"),
    Fault("OpenDKIM died", "services", "fail", "OpenDKIM", "start opendkim", kill_signer),
    Fault("Dovecot died", "services", "fail", "Dovecot", "start dovecot", stop_dovecot),
    Fault("a package of Postfix went", "services", "fail", "Postfix packages", "apt-get install postfix-pcre",
          replace_file("/etc/postfix/dynamicmaps.cf", lambda text: b"".join(
              line for line in text.splitlines(keepends=True) if not line.startswith(b"pcre")))),
    Fault("Dovecot runs for nothing", "services", "warn", "Dovecot", "dovecot stop", give_dovecot_up, "backup.yml"),
    Fault("Postfix stopped", "ports", "fail", "port 25", "mailctl status", stop_postfix),
    Fault("no IMAP", "ports", "fail", "port 993", "sport = :993", stop_dovecot),
    Fault("a hand edit", "drift", "fail", "files", "--adopt",
          replace_file("/etc/postfix/main.cf", lambda text: text + b"smtpd_timeout = 77s\n")),
    Fault("a spec that is ahead", "drift", "warn", "spec", "mailctl apply", other_spec, "more.yml"),
    Fault("a renewed certificate", "certificates", "fail", "port 25", "reload postfix", renew_certificate(90)),
    Fault("a renewed certificate for IMAP", "certificates", "fail", "port 993", "doveadm reload",
          renew_certificate(90)),
    Fault("a certificate that ends", "certificates", "warn", "mx1.example.org", "remove", renew_certificate(5)),
    Fault("a key that others read", "dkim", "fail", DOMAIN, "chmod 0600", open_key),
    Fault("a KeyTable of another mind", "dkim", "fail", "KeyTable", "dkim rotate --auto",
          replace_file(str(key_table(DEBIAN_12)), lambda text: b"")),
    Fault("a key OpenDKIM never heard of", "dkim", "fail", f"{DOMAIN} signer", "reload opendkim", take_over_unheard),
    Fault("an old key", "dkim", "warn", DOMAIN, "dkim rotate", with_states(OLD)),
    Fault("a key nobody publishes", "dkim", "warn", f"{DOMAIN} s2", "dkim rotate",
          with_states(OLD, state("s2", NOW - 5 * DAY))),
    Fault("a key nobody retires", "dkim", "warn", f"{DOMAIN} s1", "dkim rotate",
          with_states(OLD, state("s1", NOW - 90 * DAY, signs=NOW - 90 * DAY, replaced=NOW - 20 * DAY,
                                 replaced_by="s2026a"))),
    Fault("a key nobody deletes", "dkim", "warn", f"{DOMAIN} s1", "dkim rotate",
          with_states(OLD, state("s1", NOW - 90 * DAY, signs=NOW - 90 * DAY, replaced=NOW - 20 * DAY,
                                 retired=NOW - 9 * DAY, replaced_by="s2026a"))),
    Fault("no queue", "queue", "fail", "queue", "postfix check",
          replace_file("/etc/postfix/main.cf", lambda text: text + b"queue_directory = /nowhere\n")),
    Fault("a program that gave up", "log", "fail", "fatal the login service does not answer (Dovecot's socket "
          "private/auth): it does not run, or its socket is somewhere else; nobody can log in", "restart dovecot",
          replace_file("/var/log/mail.log", fatal_line)),
    Fault("a silent log", "log", "warn", "log", "rsyslog", replace_file("/var/log/mail.log", lambda text: b"")),
    Fault("a full disk", "disk", "fail", "/var/vmail room", "du ", fill_the_mail_store),
    Fault("no inodes", "disk", "fail", "/var/vmail inodes", "--inodes", use_up_inodes),
]  # fmt: skip


@contextmanager
def broken(lab: Lab, fault: Fault) -> Iterator[None]:
    undo = fault.do(lab)
    try:
        yield
    finally:
        undo()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_is_found_with_its_remedy(lab: Lab, fault: Fault) -> None:
    with broken(lab, fault):
        found = findings(lab, fault.check, fault.spec)
    seen = [each for each in found if (each["verdict"], each["subject"]) == (fault.verdict, fault.subject)]
    assert seen, found
    assert fault.remedy in seen[0]["remedy"]
    assert all(each["remedy"] for each in found if each["verdict"] in ("fail", "warn"))


def test_every_check_that_looks_at_a_server_has_a_fault_here_or_a_reason() -> None:
    from mailctl.doctor.registry import CHECKS

    elsewhere = {"dns", "clock"}  # tests/doctor
    assert {check.name for check in CHECKS} == {fault.check for fault in FAULTS} | elsewhere


def test_only_news_is_printed(lab: Lab) -> None:
    words = ("--changes-only", "--only", "services,dkim")
    assert doctor(lab, *words).stdout == ""
    with broken(lab, next(fault for fault in FAULTS if fault.name == "OpenDKIM died")):
        first, second = doctor(lab, *words), doctor(lab, *words)
    assert "OpenDKIM does not run" in first.stdout
    assert (second.stdout, second.returncode) == ("", 1)
    healed = doctor(lab, *words)
    assert (healed.stdout, healed.returncode) == ("ok    services     OpenDKIM: well again\n", 0)
    assert doctor(lab, *words).stdout == ""


def test_a_monitoring_system_gets_its_line(lab: Lab) -> None:
    done = doctor(lab, "--nagios", "--only", "services,queue")
    assert (done.returncode, done.stdout.startswith("DOCTOR OK - 2 checks are well | failed=0;;;0")) == (0, True)
    with broken(lab, next(fault for fault in FAULTS if fault.name == "OpenDKIM died")):
        done = doctor(lab, "--nagios", "--only", "services,queue")
    assert done.returncode == 2
    assert done.stdout.startswith("DOCTOR CRITICAL - OpenDKIM does not run | failed=1;;;0")
