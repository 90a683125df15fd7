"""Mail between the hosts of the example inventory: one spec, three roles, and a world outside."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest
from testinfra import get_host

from tests.hosts.conftest import BootHosts
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab
from tests.hosts.harness.waiting import wait_until
from tests.hosts.harness.wheels import CHECKOUT
from tests.hosts.server import ARRIVAL_TIMEOUT, HASH, SPEC_FILE, MailServer, message

pytestmark = pytest.mark.real

SPEC = (CHECKOUT / "inventory/files/mailctl.yml").read_text()
APP1_IN_SPEC = "192.168.56.13"
ALI, SHOP, INFO, UNKNOWN = "ali@example.org", "shop@example.org", "info@example.org", "nobody@example.org"
FRIEND = "friend@outside.example"

Fleet = dict[str, MailServer]


@pytest.fixture(scope="module")
def fleet(hosts: BootHosts, lab: Lab) -> Fleet:
    """mx1, mx2 and app1, each with its part of the one spec applied."""
    lab.zone.mail_domain("example.org", "mx1.example.org", "mx2.example.org")
    booted = hosts("mx1", "mx2", "app1", image=Image.MAILCTL)
    servers = {host.name: MailServer(host) for host in booted}
    for server in servers.values():
        for secret in ("ali", "shop"):
            server.host.put(f"{Path(SPEC_FILE).parent}/secrets/{secret}", HASH, mode=0o600)
        server.apply(SPEC.replace(APP1_IN_SPEC, servers["app1"].host.address))
    return servers


@pytest.mark.parametrize(
    ("name", "runs", "public", "closed", "parameters"),
    [
        pytest.param(
            "mx1",
            ("postfix@-", "dovecot", "opendkim"),
            (25, 465, 587, 993),
            (143,),
            {"myhostname": "mx1.example.org", "virtual_mailbox_domains": "example.org", "relay_domains": ""},
            id="mx1 is full",
        ),
        pytest.param(
            "mx2",
            ("postfix@-",),
            (25,),
            (465, 587),
            {"myhostname": "mx2.example.org", "relay_domains": "example.org", "virtual_mailbox_domains": ""},
            id="mx2 is backup-mx",
        ),
        pytest.param(
            "app1",
            ("postfix@-", "dovecot", "opendkim"),
            (465, 587),
            (25, 993),
            {"myhostname": "app1.example.org", "default_transport": "smtp:[mx2.example.org]:25", "relay_domains": ""},
            id="app1 is send-only",
        ),
    ],
)
def test_each_host_is_what_its_role_says(
    fleet: Fleet,
    name: str,
    runs: tuple[str, ...],
    public: tuple[int, ...],
    closed: tuple[int, ...],
    parameters: dict[str, str],
) -> None:
    host = fleet[name].host
    system = get_host(f"ssh://{name}", ssh_config=str(host.ssh_config))
    assert all(system.package(package).is_installed for package in ("postfix", "postfix-cdb"))
    assert all(system.service(unit).is_running for unit in runs)
    assert all(system.socket(f"tcp://0.0.0.0:{port}").is_listening for port in public)
    assert not any(system.socket(f"tcp://0.0.0.0:{port}").is_listening for port in closed)
    assert {each: system.check_output(f"postconf -xh {each}") for each in parameters} == parameters
    main_cf = system.file("/etc/postfix/main.cf")
    assert (main_cf.mode, main_cf.user, main_cf.group) == (0o644, "root", "root")
    assert fleet[name].status()["well"] is True


def test_mail_from_a_program_on_app1_reaches_the_mailbox_on_mx1_through_the_relay(fleet: Fleet) -> None:
    send_from_app1(fleet, ALI, "an order")
    fleet["mx1"].wait_for_mail(ALI, "an order")
    found = newest(fleet["mx1"], ALI)
    hops = [hop.split()[1] for hop in found.get_all("Received", [])]
    # The topmost is Postfix of mx1 handing it to Dovecot.
    assert hops[:3] == ["mx1.example.org", "mx2.example.org", "app1.example.org"]


def test_mail_from_app1_leaves_signed_through_the_relay(fleet: Fleet, lab: Lab) -> None:
    send_from_app1(fleet, FRIEND, "a receipt")
    received = lab.outside.wait_for(b"a receipt", ARRIVAL_TIMEOUT)
    assert received.client == fleet["mx2"].host.address
    assert received.recipients == (FRIEND,)
    assert is_signed(fleet["app1"], received.content, "app1")


def test_a_login_sends_from_mx1_to_the_world(fleet: Fleet, lab: Lab) -> None:
    with fleet["mx1"].submission(ALI) as client:
        client.send_message(message(INFO, FRIEND, "from a login"), INFO, [FRIEND])
    received = lab.outside.wait_for(b"from a login", ARRIVAL_TIMEOUT)
    assert received.client == fleet["mx1"].host.address
    assert is_signed(fleet["mx1"], received.content, "mx1")


def test_mail_from_the_world_is_read_over_imap(fleet: Fleet) -> None:
    fleet["mx1"].deliver(INFO, "a question", sender=FRIEND)
    fleet["mx1"].wait_for_mail(ALI, "a question")


def test_the_relay_relays_for_app1_alone(fleet: Fleet) -> None:
    assert fleet["mx2"].code_for(FRIEND) in range(550, 560)
    assert fleet["mx1"].code_for(FRIEND) in range(550, 560)


def test_while_mx1_is_down_mx2_keeps_its_mail_and_refuses_what_mx1_would(fleet: Fleet, lab: Lab) -> None:
    mx1, mx2 = fleet["mx1"], fleet["mx2"]
    mx1.host.power_off()
    assert mx2.code_for(UNKNOWN) == 550
    assert mx2.code_for(INFO) == 250
    mx2.deliver(ALI, "kept meanwhile", sender=FRIEND)
    send_from_app1(fleet, ALI, "an order meanwhile")
    queued = '"recipients": [{"address": "ali@example.org", "delay_reason": '
    wait_until(
        lambda: mx2.host.run("postqueue", "-j").stdout.count(queued) == 2, "mx2 does not hold both", ARRIVAL_TIMEOUT
    )
    lab.power_on(mx1.host)
    mx1.host.wait_until_up()
    # By itself it tries again after five minutes.
    mx2.host.run("postqueue", "-f")
    for subject in ("kept meanwhile", "an order meanwhile"):
        mx1.wait_for_mail(ALI, subject)
    wait_until(lambda: mx2.host.run("postqueue", "-j").stdout == "", "mx2 still holds mail", ARRIVAL_TIMEOUT)


def send_from_app1(fleet: Fleet, recipient: str, subject: str) -> None:
    """As a program on that host does, by sendmail(1)."""
    content = message(SHOP, recipient, subject).as_string()
    fleet["app1"].host.run("sendmail", "-i", "-f", SHOP, recipient, stdin=content)


def newest(server: MailServer, login: str) -> EmailMessage:
    with server.imap(login) as client:
        (count,) = client.select(readonly=True)[1]
        assert count is not None
        (_, content), *_ = client.fetch(count.decode(), "(RFC822)")[1]  # type: ignore[misc]
    return message_from_bytes(bytes(content), policy=policy.default)  # type: ignore[return-value]


def is_signed(server: MailServer, content: bytes, selector: str) -> bool:
    """Whether a verifier that finds the host's public key in DNS would accept the signature."""
    name = f"{selector}._domainkey.example.org"
    said = server.mailctl("dns", "records", "--format", "json", "example.org").stdout
    (key,) = (record["value"] for record in json.loads(said)["records"] if record["name"] == name)
    return bool(
        dkim.verify(content, dnsfunc=lambda asked, timeout=5: key.encode() if asked == f"{name}.".encode() else None)
    )
