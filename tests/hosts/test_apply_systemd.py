"""apply on a whole Debian host: its systemd drives the services, fires the guard, and boots again."""

from __future__ import annotations

import contextlib
import imaplib
import json
import re
import shlex
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
from testinfra import get_host

from tests.hosts.conftest import BootHosts
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab
from tests.hosts.harness.waiting import wait_until
from tests.hosts.server import APPLY_TIMEOUT, DAEMONS, SPEC_FILE, MailServer, spec

pytestmark = pytest.mark.real

BEFORE, AFTER = spec("ali", "bob"), spec("ali", "bob", "carol")
NEW, UNKNOWN = "carol@example.org", "nobody@example.org"
LATER_POSTFIX = """
    set -e
    cd "$(mktemp -d)"
    dpkg-deb --raw-extract /srv/packages/postfix_*.deb later
    sed -i '2i postconf -e smtpd_helo_required=no' later/DEBIAN/postinst
    dpkg-deb -Znone --build later later.deb
    DEBIAN_FRONTEND=noninteractive dpkg --install later.deb
"""
GUARD_TIMEOUT = 120.0  # seconds, beyond the deadline


@pytest.fixture(scope="module")
def mx1(hosts: BootHosts) -> MailServer:
    """A server that serves BEFORE."""
    (host,) = hosts("mx1", image=Image.MAILCTL)
    host.run("apt-get", "-q", "-y", "install", "strace")
    server = MailServer(host)
    server.apply(BEFORE)
    return server


@pytest.fixture
def server(mx1: MailServer) -> Iterator[MailServer]:
    """The server serves BEFORE, and does so again after the test."""
    yield mx1
    if mx1.journal():
        mx1.mailctl("rollback", "-y")
    mx1.apply(BEFORE, "--overwrite")


def test_the_services_run_under_systemd(server: MailServer) -> None:
    system = get_host(f"ssh://{server.host.name}", ssh_config=str(server.host.ssh_config))
    for name in DAEMONS.values():
        assert system.service(name).is_running
    assert system.service("mailctl-recover").is_enabled
    assert system.check_output("systemctl is-system-running") == "running"
    for port in (25, 465, 587, 993):
        assert system.socket(f"tcp://0.0.0.0:{port}").is_listening
    users = system.file("/etc/dovecot/mailctl.users")
    assert (users.mode, users.user, users.group) == (0o640, "root", "dovecot")
    assert system.file("/var/lib/mailctl/history").mode == 0o700
    assert system.user("vmail").shell == "/usr/sbin/nologin"
    assert system.check_output("postconf -h myhostname smtpd_tls_auth_only") == "mx1.example.org\nyes"
    assert server.status()["well"] is True
    server.mailctl("probe", "--fast")


def test_applied_again_it_touches_nothing(server: MailServer) -> None:
    before = server.pids()
    lines = log(server)
    assert "No changes" in server.apply(BEFORE)
    assert server.pids() == before
    assert log(server) == lines


def test_a_change_of_tables_is_a_reload(server: MailServer) -> None:
    before = server.pids()
    server.apply(AFTER)
    assert server.pids() == before
    assert server.code_for(NEW) == 250
    server.deliver(NEW, "after a reload")
    server.wait_for_mail(NEW, "after a reload")
    assert server.code_for(UNKNOWN) == 550


def test_back_to_what_debian_installed_and_forward_again(server: MailServer) -> None:
    """The way forward is a first configuration: Postfix and OpenDKIM must restart."""
    server.mailctl("rollback", "0", "-y")
    assert server.host.run("postconf", "-h", "mailctl_tables", check=False).stdout == ""
    before = server.pids()
    assert before.keys() == DAEMONS.keys()
    said = server.apply(BEFORE)
    assert "Postfix: restart (first configuration)" in said
    after = server.pids()
    assert after.keys() == DAEMONS.keys()
    assert [name for name in DAEMONS if after[name] != before[name]] == ["master", "opendkim"]
    assert server.code_for("ali@example.org") == 250


def test_a_stopped_service_stays_stopped_and_the_plan_is_applied(server: MailServer) -> None:
    server.host.run("systemctl", "stop", "postfix")
    said = server.apply(AFTER)
    assert "Postfix is not running" in said
    assert "master" not in server.pids()
    server.host.run("systemctl", "start", "postfix")
    assert server.code_for(NEW) == 250


def test_sessions_of_a_removed_mailbox_end(server: MailServer) -> None:
    with contextlib.ExitStack() as stack:
        imap, other = server.imap("bob@example.org"), server.imap("ali@example.org")
        smtp = server.submission("bob@example.org")
        for close in (imap.shutdown, other.shutdown, smtp.close):
            stack.callback(close)
        server.apply(spec("ali"), "--allow-destroy")
        wait_until(lambda: is_over(imap.noop), "the IMAP session of a removed mailbox lives")
        wait_until(lambda: is_over(smtp.noop), "the submission session of a removed mailbox lives")
        assert not is_over(other.noop)
        with pytest.raises(imaplib.IMAP4.error):
            server.imap("bob@example.org")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            server.submission("bob@example.org")


def test_unconfirmed_it_is_undone_after_the_connection_was_lost(server: MailServer) -> None:
    before = server.files()
    server.host.put(SPEC_FILE, AFTER, mode=0o600)
    remote = "mailctl apply -y --confirm-within 20s && echo applied && sleep 600"
    with subprocess.Popen(
        ["ssh", "-F", server.host.ssh_config, "-o", "ControlPath=none", "-tt", server.host.name, remote],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdout is not None
        assert any("applied" in line for line in session.stdout)
        session.kill()
    wait_until_undone(server)
    assert server.files() == before
    assert server.code_for(UNKNOWN) == 550
    assert server.code_for(NEW) == 550
    assert "an unconfirmed apply was undone" in log(server)


def test_unconfirmed_it_is_undone_after_mailctl_was_killed(server: MailServer) -> None:
    before = server.files()
    interrupted(server, AFTER, "/etc/postfix/main.cf", "exit", "--confirm-within", "30s", end=kill_mailctl)
    assert server.files() != before
    wait_until_undone(server)
    assert server.files() == before
    assert server.status()["well"] is True
    assert server.code_for(UNKNOWN) == 550


def test_unconfirmed_it_is_undone_by_a_reboot(server: MailServer, lab: Lab) -> None:
    before = server.files()
    server.apply(AFTER, "--confirm-within", "1h")
    assert server.files() != before
    assert server.code_for(NEW) == 250
    assert server.code_for(UNKNOWN) == 450
    assert re.search(r"run-\w+\.timer", server.host.run("systemctl", "list-timers", "--no-pager").stdout)
    lab.reboot(server.host)
    assert not server.journal()
    assert server.files() == before
    assert server.code_for(NEW) == 550
    recovered = moment(server, "mailctl-recover", "ExecMainExitTimestampMonotonic")
    for name in DAEMONS.values():
        assert 0 < recovered <= moment(server, name, "InactiveExitTimestampMonotonic")


def test_of_confirmation_and_deadline_exactly_one_wins(server: MailServer) -> None:
    before = server.files()
    server.apply(AFTER, "--confirm-within", "20s")
    # A slow host may have undone it by now: then the deadline has won.
    deadline = next((record["deadline"] for record in records(server) if "deadline" in record), 0)
    time.sleep(max(deadline - time.time() - 0.3, 0))
    confirmed = server.host.run("mailctl", "confirm", check=False).returncode == 0
    wait_until_undone(server)
    assert (server.files() != before) is confirmed
    assert (server.code_for(NEW) == 250) is confirmed
    assert server.code_for(UNKNOWN) == 550


@pytest.mark.parametrize(
    ("path", "side", "serves_new"),
    [
        pytest.param("/etc/dovecot/mailctl.users", "exit", False, id="one file is in place"),
        pytest.param("/etc/postfix/main.cf", "exit", False, id="committed, not reloaded"),
        pytest.param("/var/lib/mailctl/current", "enter", True, id="verified, not recorded"),
    ],
)
def test_a_host_that_loses_power_during_apply_boots_whole(
    server: MailServer, lab: Lab, path: str, side: str, serves_new: bool
) -> None:
    before = server.files()
    interrupted(server, AFTER, path, side, end=lambda server: server.host.power_off())
    assert server.journal()
    lab.power_on(server.host)
    server.host.wait_until_up()
    assert not server.journal()
    assert (server.files() != before) is serves_new
    assert (server.code_for(NEW) == 250) is serves_new
    assert server.status()["well"] is True
    server.apply(AFTER)
    assert server.code_for(NEW) == 250


def test_a_reinstalled_package_changes_nothing(server: MailServer) -> None:
    server.host.shell("export DEBIAN_FRONTEND=noninteractive; apt-get -q -y install --reinstall postfix", timeout=300)
    server.host.shell("export DEBIAN_FRONTEND=noninteractive; dpkg-reconfigure postfix")
    assert server.status()["well"] is True
    assert "No changes" in server.apply(BEFORE)
    assert server.code_for("ali@example.org") == 250


def test_what_an_upgraded_package_changes_is_drift(server: MailServer) -> None:
    """Its postinst sets a parameter, as Debian's does where a new default would bring surprises.

    The version stays: the packages of the table types want exactly that one.
    """
    server.host.shell(LATER_POSTFIX, timeout=300)
    assert server.host.run("postconf", "-h", "smtpd_helo_required").stdout == "no\n"
    said = server.mailctl("apply", "-y", code=75)
    assert "changed by hand since generation" in said.stderr
    assert "smtpd_helo_required" in said.stdout + said.stderr
    assert server.host.run("postconf", "-h", "smtpd_helo_required").stdout == "no\n"
    server.apply(BEFORE, "--overwrite")
    assert server.host.run("postconf", "-h", "smtpd_helo_required").stdout == "yes\n"
    assert server.host.shell("grep -l 'smtpd_helo_required = no' -r /var/lib/mailctl/overwritten").stdout
    assert "No changes" in server.apply(BEFORE)
    assert server.code_for("ali@example.org") == 250


def test_the_log_is_read_from_rsyslog_and_from_the_journal(server: MailServer) -> None:
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00 mx1 "
    assert re.match(stamp, server.host.run("head", "-1", "/var/log/mail.log").stdout)
    before = report_of_file(server), report_of_journal(server)
    server.deliver("ali@example.org", "counted")
    server.wait_for_mail("ali@example.org", "counted")
    for earlier, later in zip(before, (report_of_file(server), report_of_journal(server)), strict=True):
        assert later["totals"]["received"] - earlier["totals"]["received"] == 1
        assert later["totals"]["delivered"] - earlier["totals"]["delivered"] == 1
        assert later["lines"]["unparsed"] == 0


def report_of_file(server: MailServer) -> dict[str, Any]:
    return dict(json.loads(server.mailctl("log-report", "--format", "json", "/var/log/mail.log").stdout))


def report_of_journal(server: MailServer) -> dict[str, Any]:
    command = "journalctl -o json | mailctl log-report --format json -"
    return dict(json.loads(server.host.shell(command).stdout))


def moment(server: MailServer, unit: str, name: str) -> int:
    return int(server.host.run("systemctl", "show", "--value", "-p", name, unit).stdout)


def log(server: MailServer) -> str:
    return server.host.run("cat", "/var/log/mail.log").stdout


def records(server: MailServer) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.journal().splitlines()]


def wait_until_undone(server: MailServer) -> None:
    wait_until(lambda: not server.journal(), "the apply is still unfinished", GUARD_TIMEOUT)


def interrupted(
    server: MailServer, text: str, path: str, side: str, *options: str, end: Callable[[MailServer], None]
) -> None:
    """Apply `text`, and `end` it right before or after (`side` enter or exit) it renames a file to `path`."""
    server.host.put(SPEC_FILE, text, mode=0o600)
    # The rename, and no other, takes ten minutes; strace looks at the old name of a rename only.
    # No canary: its services would be traced as well.
    delay = f"rename:delay_{side}={600 * 10**6}"
    strace = [
        "strace",
        "--quiet=all",
        "--seccomp-bpf",
        "-f",
        "-o",
        "/dev/null",
        "-P",
        old_name(server, PurePosixPath(path)),
        "-e",
        "trace=rename",
        "-e",
        f"inject={delay}",
    ]
    command = shlex.join([*strace, "mailctl", "apply", "-y", "--no-canary", *options])
    argv = ["ssh", "-F", server.host.ssh_config, "-o", "ControlPath=none", server.host.name, command]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as session:
        try:
            wait_until(lambda: has_reached(server, path) or session.poll() is not None, "apply hangs", APPLY_TIMEOUT)
            assert session.stdout is not None
            assert session.poll() is None, f"apply ended before {path}: {session.stdout.read().decode()}"
            end(server)
        finally:
            session.kill()


def old_name(server: MailServer, path: PurePosixPath) -> str:
    """What the next apply calls the file that it renames to `path`."""
    state_dir = PurePosixPath("/var/lib/mailctl")
    if path.parent != state_dir:
        return str(path.with_name(f".{path.name}.mailctl-new"))
    numbers = [int(number) for number in server.host.run("ls", str(state_dir / "history")).stdout.split()]
    return str(state_dir / "staging" / f"apply-{max(numbers) + 1}" / path.name)


def has_reached(server: MailServer, path: str) -> bool:
    """Whether `path` was renamed, or for a file outside the switch: whether only the recording is left."""
    name = PurePosixPath(path)
    steps = [(record["step"], record.get("path")) for record in records(server)]
    prepared = server.host.root / str(name.with_name(f".{name.name}.mailctl-new")).lstrip("/")
    return ("verified", None) in steps or (("replace", path) in steps and not prepared.exists())


def kill_mailctl(server: MailServer) -> None:
    server.host.run("pkill", "-KILL", "-f", "mailctl apply")


def is_over(noop: Callable[[], tuple[object, object]]) -> bool:
    """Whether the server has left this session, or tells it to go."""
    try:
        return noop()[0] not in ("OK", 250)
    except (imaplib.IMAP4.error, smtplib.SMTPException, OSError):
        return True
