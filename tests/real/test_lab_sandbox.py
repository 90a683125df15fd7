"""A sandbox without mail services: sealed, private, gone without a trace, and a world that answers."""

from __future__ import annotations

import os
import re
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.resolver
import pytest
from lab_kit import processes_naming

from mailctl.errors import UnfitError
from mailctl.host import LocalHost
from mailctl.sandbox import Fault, Sandbox, Settings
from mailctl.sandbox import sandbox as module
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from mailctl.sandbox.network import OUTSIDE_IPV4, SERVER_IPV4, SERVER_IPV6
from tests.waiting import eventually

pytestmark = pytest.mark.real

SETTINGS = Settings("mx1.example.org", empty=("/var/spool/postfix", "/var/vmail"), users=("vmail",))

START_AND_SLEEP = """
import sys, time
from pathlib import Path
from mailctl.host import LocalHost
from mailctl.sandbox import Sandbox, Settings
sandbox = Sandbox.start(LocalHost(), Path(sys.argv[1]), Settings("mx1.example.org"))
sandbox.host.spawn([*sandbox.entering(), "sleep", "600"], stdout=2)
sys.stdout.write("ready\\n")
sys.stdout.flush()
time.sleep(600)
"""
START_AND_STOP = """
import sys
from pathlib import Path
from mailctl.host import LocalHost
from mailctl.sandbox import Sandbox, Settings
sandbox = Sandbox.start(LocalHost(), Path(sys.argv[1]), Settings("mx1.example.org"))
sandbox.stop()
sys.exit(sandbox.is_alive())
"""


@pytest.fixture(scope="module")
def host(require_root: None, require_tools: Callable[..., None]) -> LocalHost:
    require_tools(*module.PROGRAMS)
    return LocalHost()


@pytest.fixture(scope="module")
def sandbox(host: LocalHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(host, tmp_path_factory.mktemp("sandbox"), SETTINGS) as started:
        yield started


@dataclass(frozen=True)
class QuietHost:
    """Network and mount namespaces in which nothing changes but by one test, whatever runs beside it."""

    holder: int

    def entering(self, *argv: str) -> list[str]:
        return ["nsenter", f"--target={self.holder}", "--net", "--mount", "--", *argv]

    def python(self, script: str, folder: Path) -> list[str]:
        return self.entering(sys.executable, "-c", script, str(folder))

    def state(self) -> dict[str, list[str]]:
        """What a sandbox could leave behind on its host."""
        argv = self.entering("ip", "-o", "link")
        links = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        mounts = Path(f"/proc/{self.holder}/mounts").read_text()
        return {"mounts": mounts.splitlines(), "links": links.splitlines()}


@pytest.fixture
def quiet_host(host: LocalHost) -> Iterator[QuietHost]:
    argv = ["unshare", "--net", "--mount", "--", "cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"there\n")
        assert holder.stdout.readline() == b"there\n"
        yield QuietHost(holder.pid)
        holder.stdin.close()


def files_below(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            state = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - a Path per file is slow
            found[f"{parent}/{name}"] = (state.st_ino, state.st_mtime_ns, state.st_size)
    return found


def succeed(sandbox: Sandbox, *argv: str) -> str:
    done = sandbox.run(argv)
    assert done.returncode == 0, done.complaint
    return done.stdout.decode()


class TestSealed:
    def test_the_only_ways_out_are_loopback_and_the_pair(self, sandbox: Sandbox) -> None:
        links = [
            line.split()[1].partition("@")[0].rstrip(":") for line in succeed(sandbox, "ip", "-o", "link").splitlines()
        ]
        assert links == ["lo", "eth0"]
        assert {line.split()[0] for line in succeed(sandbox, "ip", "route").splitlines()} == {"default", OUTSIDE_IPV4}
        assert all("dev eth0" in line for line in succeed(sandbox, "ip", "route").splitlines())

    def test_a_service_of_the_host_cannot_be_reached(self, sandbox: Sandbox) -> None:
        with socket.create_server(("0.0.0.0", 0)) as service:  # noqa: S104 - the point
            port = service.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass  # it does listen
            with pytest.raises(ConnectionRefusedError):
                sandbox.call_inside(lambda: socket.create_connection(("127.0.0.1", port), timeout=5))

    def test_a_service_inside_cannot_be_reached_from_the_host(self, sandbox: Sandbox) -> None:
        service = sandbox.call_inside(lambda: socket.create_server(("127.0.0.1", 0)))
        with service, pytest.raises(ConnectionRefusedError):
            socket.create_connection(service.getsockname(), timeout=5)

    def test_processes_of_the_host_are_not_seen(self, sandbox: Sandbox) -> None:
        assert succeed(sandbox, "ps", "-o", "pid=", "-p", "1", "-o", "args=").split()[-1] == str(sandbox.folder)
        assert len(succeed(sandbox, "ps", "-e", "-o", "pid=").split()) <= 3

    def test_what_it_writes_stays_inside(self, sandbox: Sandbox) -> None:
        before = files_below(Path("/etc"))
        succeed(
            sandbox, "sh", "-c", "echo x >/etc/passwd.lab; rm -f /etc/postfix/main.cf; mkdir -p /var/vmail/x; >/run/x"
        )
        assert sandbox.path("/etc/passwd.lab").read_text() == "x\n"
        assert files_below(Path("/etc")) == before
        for path in ("/var/vmail/x", "/run/x"):
            assert sandbox.path(path).exists()
            assert not Path(path).exists()


class TestPrivate:
    def test_it_looks_like_a_fresh_mail_server(self, sandbox: Sandbox) -> None:
        assert succeed(sandbox, "hostname", "--fqdn") == "mx1.example.org\n"
        assert succeed(sandbox, "getent", "passwd", "vmail").startswith("vmail:")
        assert list(sandbox.path("/var/spool/postfix").iterdir()) == []

    def test_the_host_history_is_not_its_log(self, sandbox: Sandbox) -> None:
        succeed(sandbox, "logger", "-p", "mail.info", "-t", "postfix/test", "hello")
        assert eventually(lambda: "hello" in sandbox.path("/var/log/mail.log").read_text())
        assert all("postfix/test" in line for line in sandbox.path("/var/log/mail.log").read_text().splitlines())

    def test_orphans_are_reaped(self, sandbox: Sandbox) -> None:
        succeed(sandbox, "sh", "-c", "(sleep 0.05 &)")
        assert eventually(lambda: "sleep" not in succeed(sandbox, "ps", "-e", "-o", "comm="))
        assert "Z" not in succeed(sandbox, "ps", "-e", "-o", "stat=")

    def test_a_folder_under_a_hidden_tree_stays_visible_and_whole(self, host: LocalHost, tmp_path: Path) -> None:
        spec_folder = Path("/run") / f"mailctl-test-{os.getpid()}"
        spec_folder.mkdir()
        try:
            (spec_folder / "mail.yml").write_text("version: 1\n")
            with Sandbox.start(
                host, tmp_path, Settings("mx1.example.org", visible=(str(spec_folder), "/run"))
            ) as started:
                assert started.path(spec_folder / "mail.yml").read_text() == "version: 1\n"
                assert started.run(["touch", str(spec_folder / "x")]).returncode != 0
                assert not started.path("/run/adduser").exists()
        finally:
            (spec_folder / "mail.yml").unlink()
            spec_folder.rmdir()


class TestGone:
    def test_stopping_leaves_nothing(self, quiet_host: QuietHost, tmp_path: Path) -> None:
        before = quiet_host.state()
        subprocess.run(quiet_host.python(START_AND_STOP, tmp_path), env=PYTHON_ENVIRONMENT, check=True)
        assert eventually(lambda: processes_naming(str(tmp_path)) == [])
        assert eventually(lambda: quiet_host.state() == before)

    @pytest.mark.parametrize("victim", ["parent", "supervisor", "server"])
    def test_a_kill_of_any_part_leaves_nothing(
        self, host: LocalHost, quiet_host: QuietHost, tmp_path: Path, victim: str
    ) -> None:
        before = quiet_host.state()
        with subprocess.Popen(
            quiet_host.python(START_AND_SLEEP, tmp_path),
            stdout=subprocess.PIPE,
            env=PYTHON_ENVIRONMENT,
            start_new_session=True,
        ) as parent:
            assert parent.stdout
            assert parent.stdout.readline() == b"ready\n"
            started = Sandbox.find(host, tmp_path)
            namespace = os.readlink(f"/proc/{started.server.pid}/ns/pid")  # noqa: PTH115 - no path, a link text
            assert len(processes_naming(str(tmp_path))) >= 3
            victims = {"parent": parent.pid, "supervisor": started.supervisor.pid, "server": started.server.pid}
            os.kill(victims[victim], 9)
            assert eventually(lambda: not (started.supervisor.is_alive() or started.server.is_alive()))
            assert eventually(lambda: processes_in(namespace) == [])
            parent.kill()
        assert eventually(lambda: processes_naming(str(tmp_path)) == [])
        assert eventually(lambda: quiet_host.state() == before)

    def test_two_side_by_side_do_not_meet(self, host: LocalHost, sandbox: Sandbox, tmp_path: Path) -> None:
        with Sandbox.start(host, tmp_path, SETTINGS) as second:
            for each, word in ((sandbox, "first"), (second, "second")):
                each.path("/etc/which").write_text(word)
                deliver(each, "mx.twins.example", 25, to=f"{word}@twins.example")
            assert sandbox.path("/etc/which").read_text() == "first"
            assert [message.recipients for message in second.messages()] == [("second@twins.example",)]
            assert ("second@twins.example",) not in [message.recipients for message in sandbox.messages()]


def processes_in(namespace: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/pid") == namespace:  # noqa: PTH115
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def resolve(sandbox: Sandbox, name: str, rdtype: str, *, tcp: bool = False) -> list[str]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [OUTSIDE_IPV4]
    return sandbox.call_inside(lambda: [record.to_text() for record in resolver.resolve(name, rdtype, tcp=tcp)])


def trusting(sandbox: Sandbox) -> ssl.SSLContext:
    """What a client inside trusts: the bundle of the server."""
    return ssl.create_default_context(cafile=str(sandbox.path("/etc/ssl/certs/ca-certificates.crt")))


def deliver(
    sandbox: Sandbox,
    name: str,
    port: int,
    *,
    to: str,
    sender: str = "ali@example.org",
    login: str = "",
    tls: bool = False,
) -> None:
    """Send one message from the server to a host of the world."""
    address = resolve(sandbox, name, "A")[0]

    def dialogue() -> None:
        with smtplib.SMTP(timeout=5) as client:
            client._host = name  # type: ignore[attr-defined]  # whose certificate is expected
            if port == 465:
                raw = socket.create_connection((address, port), timeout=5)
                client.sock = trusting(sandbox).wrap_socket(raw, server_hostname=name)
                client.getreply()
            else:
                code, greeting = client.connect(address, port)
                if code != 220:
                    raise smtplib.SMTPConnectError(code, greeting)
                client._host = name  # type: ignore[attr-defined]
            if tls:
                client.starttls(context=trusting(sandbox))
            if login:
                client.login(login, "secret")
            client.sendmail(sender, [to], b"Subject: hi\r\n\r\nhello\r\n.dot\r\n")

    sandbox.call_inside(dialogue)


class TestWorld:
    @pytest.mark.parametrize("tcp", [False, True])
    def test_every_name_has_an_address_and_takes_mail(self, sandbox: Sandbox, tcp: bool) -> None:
        assert resolve(sandbox, "partner.example", "MX", tcp=tcp) == ["10 mx.partner.example."]
        assert resolve(sandbox, "mx.partner.example", "A", tcp=tcp)[0].startswith("198.18.")
        assert resolve(sandbox, "mx1.example.org", "AAAA", tcp=tcp) == [SERVER_IPV6]

    def test_published_records_are_answered(self, sandbox: Sandbox) -> None:
        sandbox.publish({"example.org": {"MX": ["10 mx1.example.org."]}})
        assert resolve(sandbox, "example.org", "MX") == ["10 mx1.example.org."]

    def test_what_does_not_exist_does_not(self, sandbox: Sandbox) -> None:
        with pytest.raises(dns.resolver.NXDOMAIN):
            resolve(sandbox, "nowhere.invalid", "A")

    def test_a_plain_message_is_recorded_as_it_came(self, sandbox: Sandbox) -> None:
        deliver(sandbox, "mx.partner.example", 25, to="carol@partner.example")
        message = sandbox.messages()[-1]
        assert (message.host, message.port, message.peer) == ("mx.partner.example", 25, SERVER_IPV4)
        assert (message.tls, message.login) == ("", "")
        assert (message.sender, message.recipients) == ("ali@example.org", ("carol@partner.example",))
        assert message.content == b"Subject: hi\r\n\r\nhello\r\n.dot\r\n"

    @pytest.mark.parametrize("port", [587, 465])
    def test_submission_records_tls_and_login(self, sandbox: Sandbox, port: int) -> None:
        deliver(sandbox, "smtp.isp.example", port, to="x@far.example", login="customer", tls=port == 587)
        message = sandbox.messages()[-1]
        assert (message.host, message.port, message.login) == ("smtp.isp.example", port, "customer")
        assert message.tls == "TLSv1.3"
        assert "secret" not in (sandbox.folder / "messages" / f"{message.number:06}.json").read_text()

    def test_submission_wants_tls_then_a_login(self, sandbox: Sandbox) -> None:
        with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
            deliver(sandbox, "smtp.isp.example", 587, to="x@far.example")
        with pytest.raises(smtplib.SMTPSenderRefused, match="authentication required"):
            deliver(sandbox, "smtp.isp.example", 587, to="x@far.example", tls=True)

    def test_the_null_sender_is_empty(self, sandbox: Sandbox) -> None:
        deliver(sandbox, "mx.partner.example", 25, to="carol@partner.example", sender="")
        assert sandbox.messages()[-1].sender == ""

    def test_an_internal_relay_is_known_by_its_address(self, sandbox: Sandbox) -> None:
        def dialogue() -> None:
            with smtplib.SMTP("10.0.0.5", timeout=5) as client:
                client.sendmail("ali@example.org", ["x@intra.example.org"], b"hi\r\n")

        sandbox.call_inside(dialogue)
        assert sandbox.messages()[-1].host == "10.0.0.5"

    @pytest.mark.parametrize(("recipient", "code"), [("defer-451@far.example", 451), ("reject-550@far.example", 550)])
    def test_a_recipient_may_ask_to_be_refused(self, sandbox: Sandbox, recipient: str, code: int) -> None:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            deliver(sandbox, "mx.far.example", 25, to=recipient)
        assert caught.value.recipients[recipient][0] == code

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Fault.DOWN, (ConnectionResetError, smtplib.SMTPServerDisconnected)),
            (Fault.DEFER, smtplib.SMTPConnectError),
            (Fault.REFUSE, smtplib.SMTPConnectError),
        ],
    )
    def test_a_host_may_fail_and_recover(
        self, sandbox: Sandbox, fault: Fault, error: type[Exception] | tuple[type[Exception], ...]
    ) -> None:
        sandbox.disturb("mx.ill.example", fault)
        with pytest.raises(error):
            deliver(sandbox, "mx.ill.example", 25, to="x@ill.example")
        sandbox.disturb("mx.ill.example", None)
        deliver(sandbox, "mx.ill.example", 25, to="x@ill.example")

    @pytest.mark.parametrize("source", ["192.0.2.200", "203.0.113.9", "2001:db8::beef"])
    def test_clients_come_from_any_address(self, sandbox: Sandbox, source: str) -> None:
        family, server = (socket.AF_INET6, SERVER_IPV6) if ":" in source else (socket.AF_INET, SERVER_IPV4)
        service = sandbox.call_inside(lambda: socket.create_server(("", 2525), family=family))
        with service:
            client = sandbox.call_outside(
                lambda: socket.create_connection((server, 2525), timeout=5, source_address=(source, 0))
            )
            connection, peer = service.accept()
            assert peer[0] == source
            connection.close()
            client.close()


class TestRealPostfix:
    def test_postfix_falls_back_to_the_second_relay(
        self, host: LocalHost, tmp_path: Path, require_tools: Callable[..., None]
    ) -> None:
        require_tools("postfix")
        with Sandbox.start(host, tmp_path, SETTINGS) as started:
            started.disturb("first.example", Fault.DOWN)
            started.path("/etc/postfix/main.cf").write_text(
                "compatibility_level = 3.6\nmyhostname = mx1.example.org\ninet_interfaces = all\n"
                "relayhost = [first.example]:25, [second.example]:25\n"
                "smtp_tls_security_level = secure\nsmtp_tls_loglevel = 1\n"
                "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n"
            )
            # Debian's chroots would need a copy of resolv.conf each.
            succeed(started, "postconf", "-F", "*/*/chroot = n")
            succeed(started, "postfix", "start")
            done = started.run(["sendmail", "-f", "ali@example.org", "x@far.example"], stdin=b"Subject: hi\n\nhello\n")
            assert done.returncode == 0, done.complaint
            assert eventually(started.messages), started.path("/var/log/mail.log").read_text()
            message = started.messages()[0]
            assert (message.host, message.tls) == ("second.example", "TLSv1.3")
            assert (
                "Verified TLS connection established to second.example" in started.path("/var/log/mail.log").read_text()
            )


class TestUnfit:
    def test_a_missing_python_module_is_named(
        self, host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(module.MODULES, "no_such_module", "no-such-package")
        with pytest.raises(UnfitError, match="no-such-package") as caught:
            Sandbox.start(host, tmp_path, SETTINGS)
        assert "pip install no-such-package" in caught.value.hint

    def test_a_start_that_fails_says_why_and_leaves_nothing(self, quiet_host: QuietHost, tmp_path: Path) -> None:
        before = quiet_host.state()
        (tmp_path / "ca.pem").mkdir()
        argv = quiet_host.python(START_AND_STOP, tmp_path)
        failed = subprocess.run(argv, env=PYTHON_ENVIRONMENT, capture_output=True, text=True)
        assert re.search(r"^mailctl\.errors\.\w+: .*openssl", failed.stderr, re.MULTILINE), failed.stderr
        assert eventually(lambda: processes_naming(str(tmp_path)) == [])
        assert eventually(lambda: quiet_host.state() == before)
