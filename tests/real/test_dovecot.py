"""Dovecot as rendered: who gets in and how, where mail goes, and what a quota does."""

from __future__ import annotations

import base64
import imaplib
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailctl.host import LocalHost
from mailctl.sandbox import Sandbox
from mailctl.sandbox.network import SERVER_IPV4
from mailctl.target import DEBIAN_12
from tests.real.component_server import install, log_of, settings_for
from tests.waiting import eventually

pytestmark = pytest.mark.real

IMAPS = 993
CLIENTS = (f"198.51.100.{number}" for number in range(1, 255))
MAILBOX = "/var/vmail/example.org"

SPEC = """
version: 1
server: {{hostname: mx1.example.org}}
tls: {{self_signed: true, profile: {profile}}}
quota: {{mailbox: 2G, warn: [50, 80]}}
domains:
  example.org:
    mailboxes:
      ali: {{password: {{file: hash}}}}
      bob: {{password: {{file: hash}}}}
      tiny: {{password: {{file: hash}}, quota: 1M}}
      odd=name_1: {{password: {{file: hash}}}}
      app: {{password: {{file: hash}}, kind: smtp-user}}
  small.example:
    quota: 1M
    mailboxes:
      one: {{password: {{file: hash}}}}
      two: {{password: {{file: hash}}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> Path:
    require_tools("dovecot", "doveadm", "openssl", "postfix")
    folder = tmp_path_factory.mktemp("spec")
    (folder / "hash").write_text(password_hash("right"))
    (folder / "mail.yml").write_text(SPEC.format(profile="intermediate"))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, require_root: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    settings = settings_for("mx1.example.org", folder)
    with Sandbox.start(LocalHost(), tmp_path_factory.mktemp("sandbox"), settings) as started:
        make_old_mail(started, "one@small.example", 300_000)
        assert install(started, folder / "mail.yml", "Certificate", "Dovecot") == ""
        yield started


def password_hash(password: str) -> str:
    done = LocalHost().run(["openssl", "passwd", "-6", "-stdin"], stdin=password.encode())
    return "{SHA512-CRYPT}" + done.stdout.decode().strip()


def make_old_mail(server: Sandbox, address: str, size: int) -> None:
    """A message that lay in the mailbox before its domain got a quota."""
    localpart, _, domain = address.partition("@")
    new = server.path(f"/var/vmail/{domain}/{localpart}/Maildir/new")
    new.mkdir(parents=True)
    (new / f"1.M1P1.mx1,S={size},W={size}").write_bytes(b"Subject: old\n\n" + b"x" * size)
    server.run(["chown", "-R", "vmail:vmail", "/var/vmail"])


def tls_context(*versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if versions:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = versions[0]
    return context


class ImapFromOutside(imaplib.IMAP4_SSL):
    """Each connection from an address of its own: Dovecot delays answers to one that failed before."""

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout, source_address=(next(CLIENTS), 0))
        wrapped: socket.socket = self.ssl_context.wrap_socket(plain)
        return wrapped


def log_in(server: Sandbox, user: str, password: str) -> list[str]:
    """Names of the folders of `user`, read over IMAP with TLS."""

    def session() -> list[str]:
        with ImapFromOutside(SERVER_IPV4, IMAPS, ssl_context=tls_context(), timeout=30) as client:
            client.login(user, password)
            return [line.decode().rpartition(" ")[2] for line in client.list()[1] if isinstance(line, bytes)]

    return server.call_outside(session)


def deliver(server: Sandbox, recipient: str, size: int = 100) -> bytes:
    """The reply of LMTP to one message of `size` bytes, or to its recipient where that is refused."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(server.path(DEBIAN_12.lmtp_socket)))
        replies = connection.makefile("rb")

        def reply() -> bytes:
            return next(line for line in replies if line[3:4] == b" ")

        reply()
        for command in ("LHLO mx1.example.org", "MAIL FROM:<sender@example.com>", f"RCPT TO:<{recipient}>"):
            connection.sendall(f"{command}\r\n".encode())
            answer = reply()
        if not answer.startswith(b"250"):
            return answer
        connection.sendall(b"DATA\r\n")
        reply()
        connection.sendall(b"Subject: hello\r\n\r\n" + (b"x" * 78 + b"\r\n") * (size // 80 + 1) + b".\r\n")
        return reply()


def ask_policy(server: Sandbox, recipient: str, size: int = 0) -> str:
    """What quota-status tells Postfix at RCPT."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(server.path(DEBIAN_12.quota_status_socket)))
        request = f"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a@example.com\nrecipient={recipient}\n"
        connection.sendall(f"{request}size={size}\n\n".encode())
        return connection.recv(1000).decode().strip().removeprefix("action=")


def authenticate(server: Sandbox, user: str, password: str) -> str:
    """The first word Dovecot answers to Postfix's SASL request."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(server.path(DEBIAN_12.auth_socket)))
        replies = connection.makefile("rb")
        for line in replies:
            if line == b"DONE\n":
                break
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        connection.sendall(
            f"VERSION\t1\t1\nCPID\t4711\nAUTH\t1\tPLAIN\tservice=smtp\tsecured\trip={next(CLIENTS)}\tresp={response}\n".encode()
        )
        return replies.readline().decode().split("\t")[0]


def messages(server: Sandbox, maildir: str) -> list[Path]:
    return sorted(server.path(f"{MAILBOX}/{maildir}/Maildir/new").glob("*"))


def listening_ports(server: Sandbox) -> set[int]:
    lines = server.run(["ss", "-Hltn"]).stdout.decode().splitlines()
    return {int(line.split()[3].rpartition(":")[2]) for line in lines}


def test_imap_over_tls_shows_the_folders(server: Sandbox) -> None:
    assert {"INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive"} <= set(log_in(server, "ali@example.org", "right"))


def test_a_login_is_the_address_in_any_case(server: Sandbox) -> None:
    assert "INBOX" in log_in(server, "ALI@Example.ORG", "right")


def test_every_name_the_spec_accepts_can_log_in(server: Sandbox) -> None:
    assert "INBOX" in log_in(server, "odd=name_1@example.org", "right")


@pytest.mark.parametrize(
    ("user", "password"),
    [("ali@example.org", "wrong"), ("ali", "right"), ("app@example.org", "right"), ("nobody@example.org", "right")],
    ids=["wrong password", "no domain", "smtp-user", "unknown"],
)
def test_imap_refuses(server: Sandbox, user: str, password: str) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        log_in(server, user, password)


def test_no_port_takes_a_password_in_the_clear(server: Sandbox) -> None:
    assert listening_ports(server) == {IMAPS}


@pytest.mark.parametrize(
    ("user", "password", "answer"),
    [
        ("ali@example.org", "right", "OK"),
        ("app@example.org", "right", "OK"),
        ("app@example.org", "wrong", "FAIL"),
        ("nobody@example.org", "right", "FAIL"),
    ],
)
def test_sasl_for_postfix(server: Sandbox, user: str, password: str, answer: str) -> None:
    assert authenticate(server, user, password) == answer


@pytest.mark.parametrize("recipient", ["bob@example.org", "bob+tag@example.org", "BOB@EXAMPLE.ORG"])
def test_mail_lands_in_the_inbox(server: Sandbox, recipient: str) -> None:
    before = len(messages(server, "bob"))
    assert deliver(server, recipient).startswith(b"250 ")
    found = messages(server, "bob")
    assert len(found) == before + 1
    assert b"Subject: hello" in found[-1].read_bytes()
    assert found[-1].stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("recipient", ["app@example.org", "nobody@example.org", "../ali@example.org"])
def test_who_has_no_mailbox_gets_no_mail(server: Sandbox, recipient: str) -> None:
    assert deliver(server, recipient).startswith(b"550 5.1.1 ")


@pytest.mark.parametrize(
    "recipient",
    [
        "ali@example.org",
        "app@example.org",
        "alias@example.org",
        "o'b&c@example.org",
        "%u@example.org",
        "x/../y@z.example",
    ],
)
def test_the_policy_says_nothing_about_others_than_full_mailboxes(server: Sandbox, recipient: str) -> None:
    assert ask_policy(server, recipient) == "DUNNO"


def test_a_full_mailbox_is_refused_at_rcpt_and_its_owner_is_warned(server: Sandbox) -> None:
    for _ in range(3):
        assert deliver(server, "tiny@example.org", 300_000).startswith(b"250 ")
    assert ask_policy(server, "tiny@example.org", 300_000).startswith("552 5.2.2 ")
    assert ask_policy(server, "tiny+tag@example.org", 300_000).startswith("552 5.2.2 ")
    assert ask_policy(server, "tiny@example.org", 5_000_000).startswith("552 5.2.3 ")
    # What Postfix accepted before waits in its queue: a mailbox that is full is no reason for a bounce.
    assert deliver(server, "tiny@example.org", 600_000).startswith(b"452 4.2.2 ")

    def warnings_found() -> list[bytes]:
        return [text for path in messages(server, "tiny") if b"mailbox is" in (text := path.read_bytes())]

    assert eventually(lambda: len(warnings_found()) == 2), log_of(server)
    warning = next(text for text in warnings_found() if b"80% full" in text)
    assert b"To: <tiny@example.org>" in warning
    assert b"Auto-Submitted: auto-generated" in warning


def test_the_quota_of_a_domain_counts_all_its_mailboxes_and_what_was_there_before(server: Sandbox) -> None:
    """One of 300 kB lay there; both mailboxes are far from their own quota of 2G."""
    assert deliver(server, "two@small.example", 400_000).startswith(b"250 ")
    assert deliver(server, "one@small.example", 250_000).startswith(b"250 ")
    assert ask_policy(server, "two@small.example", 250_000).startswith("552 5.2.2 ")
    assert deliver(server, "one@small.example", 250_000).startswith(b"452 4.2.2 ")


def test_a_removed_login_fails_at_once(server: Sandbox) -> None:
    """No reload: Dovecot looks at the file's modification time once a second."""
    users = server.path(DEBIAN_12.dovecot_dir / "mailctl.users")
    before = users.read_text()
    assert authenticate(server, "bob@example.org", "right") == "OK"
    try:
        users.write_text("".join(line for line in before.splitlines(True) if not line.startswith("bob@")))
        server.run(["touch", "-d", "+2 seconds", DEBIAN_12.dovecot_dir / "mailctl.users"])
        assert eventually(lambda: authenticate(server, "bob@example.org", "right") == "FAIL")
    finally:
        users.write_text(before)
        server.run(["touch", "-d", "+4 seconds", DEBIAN_12.dovecot_dir / "mailctl.users"])


def handshake(server: Sandbox, version: ssl.TLSVersion) -> str | None:
    def connect() -> str | None:
        context = tls_context(version)
        try:
            with socket.create_connection(("127.0.0.1", IMAPS), 10) as plain, context.wrap_socket(plain) as connection:
                return connection.version()
        except (ssl.SSLError, ConnectionResetError):
            return None

    return server.call_inside(connect)


def test_the_warning_script_takes_its_arguments_as_data(server: Sandbox) -> None:
    """Dovecot only ever passes known addresses; the script relies on nothing of the kind."""
    hostile = 'a"; touch /run/injected; $(touch /run/injected) `touch /run/injected`@example.org'
    server.run([DEBIAN_12.dovecot_dir / "mailctl-quota-warning", "80", hostile])
    assert not server.path("/run/injected").exists()


def test_dovecot_logs_no_error_and_no_warning(server: Sandbox) -> None:
    words = ("Error:", "Fatal:", "Panic:", "Warning:")
    assert [line for line in log_of(server).splitlines() if any(word in line for word in words)] == []


def test_tls_profiles(server: Sandbox, folder: Path) -> None:
    """Each profile by a reload; the last one puts the first back."""
    accepted = {}
    for profile in ("modern", "old", "intermediate"):
        (folder / "profile.yml").write_text(SPEC.format(profile=profile))
        assert install(server, folder / "profile.yml", "Certificate", "Dovecot") == ""
        assert eventually(lambda: handshake(server, ssl.TLSVersion.TLSv1_3) is not None)
        versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        accepted[profile] = [handshake(server, version) for version in versions]
    assert accepted == {
        "modern": [None, None, "TLSv1.3"],
        "old": ["TLSv1", "TLSv1.2", "TLSv1.3"],
        "intermediate": [None, "TLSv1.2", "TLSv1.3"],
    }


def test_a_server_that_only_sends_answers_postfix_and_listens_nowhere(server: Sandbox, folder: Path) -> None:
    text = SPEC.format(profile="intermediate").replace(
        "hostname: mx1.example.org", "hostname: mx1.example.org, role: send-only"
    )
    (folder / "send.yml").write_text(text)
    assert install(server, folder / "send.yml", "Certificate", "Dovecot") == ""
    assert eventually(lambda: listening_ports(server) == set())
    assert authenticate(server, "ali@example.org", "right") == "OK"
    assert authenticate(server, "app@example.org", "wrong") == "FAIL"
