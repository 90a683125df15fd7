"""Postfix as the spec makes it, in a private lab: relays, routes, identity, and what each role takes and refuses."""

from __future__ import annotations

import json
import smtplib
import ssl
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab_kit import Lab, password_hash

from mailctl.sandbox import Fault, ReceivedMessage
from mailctl.sandbox.network import SERVER_IPV4

pytestmark = pytest.mark.real

StartLab = Callable[[Path], Lab]
STRANGER = "stranger@partner.example"
SES = "email-smtp.eu-west-1.amazonaws.com"

FULL = """
    version: 1
    server: {hostname: mx1.example.org}
    tls:
      self_signed: true
      sni:
        mail.example.net: {certificate: /etc/ssl/lab/net.pem, key: /etc/ssl/lab/net.key}
      policies: {secret.example: {level: secure}}
    domains:
      example.org:
        mailboxes:
          ali: {password: {file: ali}}
          bob: {password: {file: bob}}
          bounce: {password: {file: bounce}, kind: smtp-user, null_sender: true}
        aliases:
          info: [ali]
          "/^b.*$/": [ali]
      example.net:
        catch_all: shop
        mailboxes:
          shop: {password: {file: shop}}
          jobs: {password: {file: jobs}}
    relays:
      ses: {preset: amazon-ses, region: eu-west-1, username: AKIA, password: {file: secret}}
      isp: {hosts: ["[smtp.isp.example]:587"], username: user, password: {file: secret}}
      wrapped: {hosts: ["[smtps.isp.example]:465"], username: wrap, password: {file: secret}, tls: secure}
      plain: {hosts: ["[plain.isp.example]:25"]}
    routes:
      - {to: [wrapped.example], via: wrapped}
      - {to: [intra.example, .intra.example], via: {host: 10.0.0.5}}
      - {to: [direct.example, .direct.example, boss@wrapped.example], via: direct}
      - {from: "@example.org", via: [ses, isp]}
      - {from: jobs@example.net, via: direct}
      - {via: plain}
"""
# Logins are counted per client and minute, so each comes from another address.
CLIENTS = (f"198.51.100.{number}" for number in range(1, 255))
LOGINS = ("ali", "bob", "bounce", "shop", "jobs")


def write_spec(folder: Path, text: str) -> Path:
    for login in LOGINS:
        (folder / login).write_text(password_hash(f"pw-{login}"))
    (folder / "secret").write_text("relay secret")
    for file in folder.iterdir():
        file.chmod(0o600)
    spec_file = folder / "mail.yml"
    spec_file.write_text(textwrap.dedent(text))
    return spec_file


@pytest.fixture(scope="module")
def spec_folder(tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None]) -> Callable[[str], Path]:
    """Call with the name of a role; a folder for its spec."""
    require_tools("doveadm")
    return tmp_path_factory.mktemp


@pytest.fixture(scope="module")
def full(start_lab: StartLab, spec_folder: Callable[[str], Path]) -> Lab:
    return start_lab(write_spec(spec_folder("full"), FULL))


@contextmanager
def smtp(port: int = 25, source: str = "203.0.113.7") -> Iterator[smtplib.SMTP]:
    """A dialogue with the server; for `call_outside`."""
    client = smtplib.SMTP(timeout=20, source_address=(source, 0))
    client.connect(SERVER_IPV4, port)
    client.ehlo("client.example.com")
    try:
        yield client
    finally:
        client.close()


def start_tls(client: smtplib.SMTP, name: str = "mx1.example.org") -> bytes:
    """The certificate, DER, the server presents under `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client._host = name  # type: ignore[attr-defined]
    client.starttls(context=context)
    client.ehlo("client.example.com")
    return client.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]


def replies_to(lab: Lab, *recipients: str, sender: str = STRANGER, source: str = "203.0.113.7") -> list[int]:
    """The code each recipient gets from port 25."""

    def ask() -> list[int]:
        with smtp(source=source) as client:
            client.mail(sender)
            return [client.rcpt(recipient)[0] for recipient in recipients]

    return lab.sandbox.call_outside(ask)


def left(lab: Lab, sender: str, recipient: str) -> ReceivedMessage:
    """How a message from a login of the server left it."""
    assert lab.submit(sender, recipient, source=next(CLIENTS)).is_accepted
    return lab.wait_for_left(recipient)


# Receiving


def test_strangers_reach_our_addresses_only(full: Lab) -> None:
    ours = ("ali@example.org", "ali+tag@example.org", "info@example.org", "bingo@example.org", "x@example.net")
    assert set(replies_to(full, *ours)) == {250}
    others = ("nobody@example.org", "x@elsewhere.example", "x@sub.example.org", "ali%elsewhere.example@example.org")
    assert all(code // 100 == 5 for code in replies_to(full, *others))


def test_a_pattern_takes_no_mail_from_a_mailbox(full: Lab) -> None:
    for recipient in ("bob@example.org", "bob+lists@example.org"):
        assert full.send(STRANGER, recipient, subject=f"for {recipient}").is_accepted
        full.wait_for_mail("bob@example.org", f"for {recipient}")


def test_a_catch_all_takes_no_mail_from_a_mailbox(full: Lab) -> None:
    full.send(STRANGER, "jobs+x@example.net", subject="to jobs")
    full.wait_for_mail("jobs@example.net", "to jobs")
    full.send(STRANGER, "whoever@example.net", subject="to whoever")
    full.wait_for_mail("shop@example.net", "to whoever")


def test_no_login_is_offered_on_port_25(full: Lab) -> None:
    def features() -> dict[str, str]:
        with smtp() as client:
            start_tls(client)
            return dict(client.esmtp_features)

    offered = full.sandbox.call_outside(features)
    assert "auth" not in offered
    assert "chunking" not in offered
    assert "smtputf8" not in offered


@pytest.mark.parametrize(("name", "expected"), [("mail.example.net", "mail.example.net"), ("mx1.example.org", "mx1")])
def test_a_certificate_for_each_name(full: Lab, name: str, expected: str) -> None:
    def certificate() -> str:
        with smtp() as client:
            return ssl.DER_cert_to_PEM_cert(start_tls(client, name))

    pem = full.sandbox.call_outside(certificate)
    assert expected in full.run("openssl", "x509", "-noout", "-text", stdin=pem.encode())


def test_a_renewed_certificate_needs_a_reload_only(full: Lab) -> None:
    def presented() -> bytes:
        with smtp() as client:
            return start_tls(client, "mail.example.net")

    assert b"renewed.example.net" not in full.sandbox.call_outside(presented)
    certificate, key = full.sandbox.issue_certificate(["mail.example.net", "renewed.example.net"])
    full.sandbox.path("/etc/ssl/lab/net.key").write_bytes(key)
    full.sandbox.path("/etc/ssl/lab/net.pem").write_bytes(certificate)
    full.run("postfix", "reload")
    # Reload returns before the master has told its processes.
    full.wait_for(lambda: b"renewed.example.net" in full.sandbox.call_outside(presented) or None, "still the old one")


@pytest.mark.parametrize("port", [587, 465])
@pytest.mark.parametrize(
    ("options", "is_served"),
    [
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384"], False),
        (["-tls1_2"], True),
        (["-tls1_3"], True),
    ],
)
def test_submission_speaks_the_intermediate_profile(full: Lab, port: int, options: list[str], is_served: bool) -> None:
    start = ["-starttls", "smtp"] if port == 587 else []
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *start, *options]
    shown = full.sandbox.run(client, stdin=b"QUIT\r\n").stdout.decode()
    assert ("New, TLSv1." in shown) is is_served


# Submission


SENDERS = [
    ("ali@example.org", 250),
    ("ali+tag@example.org", 250),
    ("info@example.org", 250),
    ("bingo@example.org", 250),
    ("bob@example.org", 553),
    ("bob+x@example.org", 553),
    ("shop@example.net", 553),
    ("whoever@example.net", 553),
    (STRANGER, 553),
    ("", 554),
]


@pytest.mark.parametrize(("sender", "code"), SENDERS)
def test_a_login_sends_as_what_it_owns(full: Lab, sender: str, code: int) -> None:
    source = next(CLIENTS)

    def ask() -> int:
        with smtp(587, source) as client:
            start_tls(client)
            client.login("ali@example.org", "pw-ali")
            client.mail(sender)
            return client.rcpt("x@elsewhere.example")[0]

    assert full.sandbox.call_outside(ask) == code


def test_a_marked_login_sends_with_the_null_sender(full: Lab) -> None:
    assert full.send(
        "", "x@null.example", port=587, login="bounce@example.org", password="pw-bounce", source=next(CLIENTS)
    ).is_accepted


def test_a_submitted_message_hides_where_it_was_written(full: Lab) -> None:
    message = left(full, "jobs@example.net", "x@hidden.example")
    head = message.content.decode().partition("\n\n")[0]
    assert "Received: by mx1.example.org (Postfix)" in head
    assert "198.51.100." not in head
    assert "outside.client.example" not in head


def test_an_unknown_local_recipient_is_refused_at_once(full: Lab) -> None:
    assert (
        full.submit("ali@example.org", "nobody@example.org", source=next(CLIENTS)).replies["nobody@example.org"].code
        == 550
    )


# Leaving


def test_a_sender_route_takes_its_first_relay(full: Lab) -> None:
    message = left(full, "ali@example.org", "x@first.example")
    assert (message.host, message.port, message.login) == (SES, 587, "AKIA")
    assert message.tls.startswith("TLSv1.")


def test_a_sender_route_fails_over_with_the_next_login(full: Lab) -> None:
    full.sandbox.disturb(SES, Fault.DOWN)
    try:
        message = left(full, "bob@example.org", "x@second.example")
    finally:
        full.sandbox.disturb(SES, None)
    assert (message.host, message.port, message.login) == ("smtp.isp.example", 587, "user")


def test_a_relay_on_465_is_reached_by_wrapped_tls(full: Lab) -> None:
    message = left(full, "ali@example.org", "x@wrapped.example")
    assert (message.host, message.port, message.login) == ("smtps.isp.example", 465, "wrap")
    assert "Verified TLS connection established to smtps.isp.example" in full.log()


@pytest.mark.parametrize("recipient", ["x@direct.example", "x@deep.direct.example", "boss@wrapped.example"])
def test_direct_means_the_recipients_own_servers(full: Lab, recipient: str) -> None:
    message = left(full, "ali@example.org", recipient)
    assert message.host == f"mx.{recipient.partition('@')[2]}"
    assert message.login == ""


def test_a_direct_sender_goes_round_the_default_relay(full: Lab) -> None:
    assert left(full, "jobs@example.net", "x@third.example").host == "mx.third.example"
    assert left(full, "shop@example.net", "x@fourth.example").host == "plain.isp.example"


@pytest.mark.parametrize("recipient", ["x@intra.example", "x@deep.intra.example"])
def test_an_internal_relay_gets_its_domains_and_no_login(full: Lab, recipient: str) -> None:
    message = left(full, "ali@example.org", recipient)
    assert (message.address, message.port, message.login) == ("10.0.0.5", 25, "")


def test_the_log_holds_no_warning(full: Lab) -> None:
    words = ("warning:", "error:", "fatal:", "panic:")
    lines = [line for line in full.log().splitlines() if "postfix/" in line and any(word in line for word in words)]
    # What the refused TLS versions and ciphers above leave behind.
    assert [line for line in lines if "TLS library problem" not in line] == []


# Roles


SEND_ONLY = """
    version: 1
    server: {hostname: mx1.example.org, role: send-only}
    tls: {self_signed: true}
    domains:
      example.org:
        mailboxes: {ali: {password: {file: ali}}}
    local_aliases: {root: ops@example.org}
"""


@pytest.fixture(scope="module")
def send_only(start_lab: StartLab, spec_folder: Callable[[str], Path]) -> Lab:
    lab = start_lab(write_spec(spec_folder("send-only"), SEND_ONLY))
    # Who only sends receives elsewhere.
    lab.sandbox.publish(lab.sandbox.zone() | {"example.org": {"MX": ["10 mail.example.org."]}})
    return lab


def test_send_only_has_no_port_25_for_strangers(send_only: Lab) -> None:
    with pytest.raises(OSError, match="refused"):
        replies_to(send_only, "ali@example.org")


def test_send_only_sends_for_logins_and_programs(send_only: Lab) -> None:
    message = left(send_only, "ali@example.org", "x@login.example")
    assert message.host == "mx.login.example"
    send_only.run("/usr/sbin/sendmail", "-f", "root", "x@program.example", stdin=b"Subject: hi\n\nhello\n")
    assert send_only.wait_for_left("x@program.example").sender == "root@mx1.example.org"


def test_send_only_delivers_nothing_itself(send_only: Lab) -> None:
    assert left(send_only, "ali@example.org", "ali@example.org").recipients == ("ali@example.org",)


def test_send_only_passes_system_mail_on(send_only: Lab) -> None:
    send_only.run("/usr/sbin/sendmail", "root", stdin=b"Subject: cron\n\nhello\n")
    assert send_only.wait_for_left("ops@example.org")


RELAY = """
    version: 1
    server: {hostname: mx1.example.org, role: relay, trusted_networks: [203.0.113.0/28, "2001:db8:5::/64"]}
    tls: {self_signed: true}
"""


@pytest.fixture(scope="module")
def relay(start_lab: StartLab, spec_folder: Callable[[str], Path]) -> Lab:
    return start_lab(write_spec(spec_folder("relay"), RELAY))


def test_a_relay_serves_trusted_networks_only(relay: Lab) -> None:
    everybody = ("x@elsewhere.example", "root@mx1.example.org", "postmaster@mx1.example.org")
    assert replies_to(relay, "x@elsewhere.example", source="203.0.113.5") == [250]
    assert all(code // 100 == 5 for code in replies_to(relay, *everybody, source="203.0.113.99"))


def test_a_relay_passes_mail_on(relay: Lab) -> None:
    assert relay.send("app@intra.example", "x@far.example", source="203.0.113.5").is_accepted
    assert relay.wait_for_left("x@far.example").host == "mx.far.example"


@pytest.mark.parametrize("port", [587, 465])
def test_a_relay_has_no_submission(relay: Lab, port: int) -> None:
    def connect() -> None:
        with smtp(port):
            pass

    with pytest.raises(OSError, match="refused"):
        relay.sandbox.call_outside(connect)


BACKUP_MX = """
    version: 1
    server: {hostname: mx1.example.org, role: backup-mx}
    tls: {self_signed: true}
    domains:
      example.org:
        mailboxes:
          ali: {}
        aliases:
          info: [ali]
          "/^ticket-[0-9]+$/": [ali]
      example.net:
        catch_all: ali@example.org
"""


@pytest.fixture(scope="module")
def backup_mx(start_lab: StartLab, spec_folder: Callable[[str], Path]) -> Lab:
    lab = start_lab(write_spec(spec_folder("backup-mx"), BACKUP_MX))
    lab.sandbox.publish(
        lab.sandbox.zone() | {"example.org": {"MX": ["10 primary.example.org.", "20 mx1.example.org."]}}
    )
    return lab


def test_a_backup_mx_takes_what_the_primary_would(backup_mx: Lab) -> None:
    valid = (
        "ali@example.org",
        "ali+x@example.org",
        "info@example.org",
        "ticket-7@example.org",
        "postmaster@example.org",
    )
    assert set(replies_to(backup_mx, *valid, "whoever@example.net")) == {250}
    invalid = ("nobody@example.org", "ticket-x@example.org", "x@sub.example.org", "x@elsewhere.example")
    assert all(code // 100 == 5 for code in replies_to(backup_mx, *invalid))


def test_a_backup_mx_hands_over_to_the_primary(backup_mx: Lab) -> None:
    assert backup_mx.send(STRANGER, "ali@example.org").is_accepted
    assert backup_mx.wait_for_left("ali@example.org").host == "primary.example.org"


def test_a_backup_mx_waits_for_the_primary(backup_mx: Lab) -> None:
    backup_mx.sandbox.disturb("primary.example.org", Fault.DOWN)
    try:
        queue_id = backup_mx.send(STRANGER, "info@example.org").queue_id
        log = backup_mx.wait_for(
            lambda: next(
                (line for line in backup_mx.log().splitlines() if queue_id in line and "status=" in line), None
            ),
            "no delivery was tried",
        )
    finally:
        backup_mx.sandbox.disturb("primary.example.org", None)
    assert "status=deferred" in log


# Changes


@pytest.fixture
def changing(start_lab: StartLab, tmp_path: Path) -> Lab:
    """A server of its own, for tests that change its spec."""
    return start_lab(write_spec(tmp_path, RELAY))


def apply_change(lab: Lab, old: str, new: str) -> subprocess.CompletedProcess[str]:
    lab.spec_file.write_text(lab.spec_file.read_text().replace(old, new))
    return lab.mailctl("apply", "-y", "--no-canary", "-f", str(lab.spec_file))


def test_a_change_is_served_after_a_reload(changing: Lab) -> None:
    pid = changing.run("cat", "/var/spool/postfix/pid/master.pid")
    done = apply_change(changing, "203.0.113.0/28", "203.0.113.64/28")
    assert done.returncode == 0, done.stderr
    assert replies_to(changing, "x@elsewhere.example", source="203.0.113.65") == [250]
    assert replies_to(changing, "x@elsewhere.example", source="203.0.113.5")[0] // 100 == 5
    assert changing.run("cat", "/var/spool/postfix/pid/master.pid") == pid


def test_a_stopped_postfix_stays_stopped(changing: Lab) -> None:
    changing.run("postfix", "stop")
    done = apply_change(changing, "203.0.113.0/28", "203.0.113.64/28")
    assert done.returncode == 0, done.stderr
    assert "Postfix is not running" in done.stderr
    assert changing.sandbox.run(["postfix", "status"]).returncode != 0


# A configuration that passes every check, and still serves nobody


@pytest.mark.parametrize(
    ("main", "said"),
    [
        # Only who is not trusted gets as far as the policy service.
        ({"smtpd_client_restrictions": "permit_mynetworks, check_policy_service unix:private/nobody"}, "4.3.5"),
        ({"smtpd_client_restrictions": "check_policy_service inet:127.0.0.1:9"}, "4.3.5"),
        ({"recipient_canonical_maps": "socketmap:inet:127.0.0.1:9:x"}, "4.3.0"),
    ],
)
def test_a_server_that_answers_451_to_everybody_is_put_back(
    start_lab: StartLab, tmp_path: Path, main: dict[str, str], said: str
) -> None:
    lab = start_lab(write_spec(tmp_path, FULL))
    before = lab.sandbox.path("/etc/postfix/main.cf").read_bytes()
    done = apply_change(lab, "version: 1", f"version: 1\npostfix: {{main: {json.dumps(main)}}}")
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert lab.sandbox.path("/etc/postfix/main.cf").read_bytes() == before
    assert replies_to(lab, "ali@example.org") == [250]
