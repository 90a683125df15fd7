"""roles/site.yml on three hosts, from a bare Debian to a fleet: one journey, its tests in order."""

from __future__ import annotations

import re

import pytest

from tests.hosts.conftest import BootHosts
from tests.hosts.fleet import Fleet
from tests.hosts.harness.images import Image
from tests.hosts.harness.lab import Lab
from tests.hosts.harness.machine import DebianHost
from tests.hosts.server import JOURNALS, MailServer

MX1, MX2, APP1 = "mx1", "mx2", "app1"
NO_CHANGE = {MX1: 0, MX2: 0, APP1: 0}
NO_ROOM_FOR_MAIL = ("local_aliases:", "postfix: {main: {queue_minfree: 99999999999999}}\nlocal_aliases:")
NEW_ALIAS = ("info: [ali]", "sales: [ali]\n      info: [ali]")
PLACED = {"/etc/mailctl": 0o700, "/etc/mailctl/mailctl.yml": 0o600, "/etc/mailctl/secrets/ali": 0o600}
MAILCTL = "/opt/mailctl/bin/mailctl"
FAILING_PROBE = f"""\
#!/bin/sh
[ "$1" = probe ] && {{ echo "FAIL  relay.forms  an open relay"; exit 1; }}
exec {MAILCTL}.real "$@"
"""


@pytest.fixture(scope="module")
def fleet(hosts: BootHosts, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    # The backup has the packages already, more than it needs, and they serve as Debian configures them.
    (mx1,), (mx2,), (app1,) = hosts(MX1), hosts(MX2, image=Image.MAIL), hosts(APP1)
    booted = [mx1, mx2, app1]
    lab.zone.mail_domain("example.org", "mx1.example.org", "mx2.example.org")
    return Fleet(booted, tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def served(fleet: Fleet) -> Fleet:
    """The fleet after its first run."""
    outcome = fleet.play()
    assert outcome.code == 0, outcome.text
    return fleet


def is_untouched(host: DebianHost) -> bool:
    return host.run("ls", "/opt/mailctl", "/etc/mailctl", check=False).stdout == ""


def live_files(fleet: Fleet) -> list[str]:
    """Every file the services read, with its inode, and how often Postfix was reloaded."""
    show = """
        find /etc/postfix /etc/dovecot /etc/opendkim* | sort | xargs stat -c '%n %i %z %a'
        grep -c reload /var/log/mail.log
    """
    return [host.shell(show, check=False).stdout for host in fleet.hosts.values()]


def spec_on(host: DebianHost) -> str:
    return host.run("cat", "/etc/mailctl/mailctl.yml").stdout


def test_check_mode_on_bare_hosts_shows_the_plan_of_each_and_touches_none(fleet: Fleet) -> None:
    outcome = fleet.play("--check", "--diff")
    assert outcome.code == 0, outcome.text
    assert "+ mailbox ali@example.org  quota 2G  may send as info@example.org  mailctl.yml:" in outcome.text
    assert "+ route default  via [mx2.example.org]:25" in outcome.text
    assert "+ /etc/dovecot/mailctl.users  (secret, not shown)" in outcome.text
    assert "ARGON2ID" not in outcome.text
    assert all(map(is_untouched, fleet.hosts.values()))


def test_a_broken_spec_stops_before_any_host_is_touched(fleet: Fleet) -> None:
    with fleet.changed_spec("info: [ali]", "info: [alli]"):
        outcome = fleet.play("-vvv", "--diff")
    assert outcome.code != 0
    place = re.escape(f"{fleet.spec}:16:")
    assert re.search(rf"{place}\d+: domains\.example\.org\.aliases\.info\[0\]: no mailbox", outcome.text)
    assert "ARGON2ID" not in outcome.text
    assert all(map(is_untouched, fleet.hosts.values()))


def test_what_a_killed_play_left_undone_the_next_one_does(fleet: Fleet) -> None:
    mx1 = fleet.hosts[MX1]
    fleet.play_until(
        "TASK [mailctl : Install mailctl from its wheels]", lambda: (mx1.root / "opt/mailctl/bin").exists()
    )
    fleet.play_until("TASK [mailctl : Apply]", lambda: any((mx1.root / JOURNALS).glob("*.jsonl")))
    mx1.run("pkill", "-KILL", "-f", "mailctl apply")
    outcome = fleet.play("-vvv", "--diff")
    assert outcome.code == 0, outcome.text
    assert "ARGON2ID" not in outcome.text
    assert all(fleet.generations())


def test_a_bare_debian_becomes_a_mail_server(served: Fleet) -> None:
    system = served.system(MX1)
    assert all(system.package(name).is_installed for name in ("postfix", "postfix-pcre", "dovecot-imapd", "opendkim"))
    for unit in ("postfix", "dovecot", "opendkim"):
        assert system.service(unit).is_running
        assert system.service(unit).is_enabled
    assert all(system.socket(f"tcp://0.0.0.0:{port}").is_listening for port in (25, 465, 587, 993))
    assert system.check_output("postconf -h myhostname") == "mx1.example.org"
    assert system.user("vmail").shell == "/usr/sbin/nologin"
    assert not system.file("/usr/sbin/policy-rc.d").exists


def test_each_host_is_what_the_spec_says_of_it(served: Fleet) -> None:
    backup, app = served.system(MX2), served.system(APP1)
    assert backup.socket("tcp://0.0.0.0:25").is_listening
    # It had these open, with Debian's settings.
    assert not any(backup.socket(f"tcp://0.0.0.0:{port}").is_listening for port in (143, 993))
    assert not backup.service("dovecot").is_enabled
    assert "example.org" in backup.check_output("postconf -h relay_domains")
    assert app.socket("tcp://127.0.0.1:25").is_listening
    assert not app.socket("tcp://0.0.0.0:25").is_listening
    assert app.check_output("postconf -h default_transport").endswith("[mx2.example.org]:25")


@pytest.mark.parametrize("name", [MX1, MX2, APP1])
def test_spec_and_secrets_are_private(served: Fleet, name: str) -> None:
    system = served.system(name)
    found = {path: (system.file(path).user, system.file(path).mode) for path in PLACED}
    assert found == {path: ("root", mode) for path, mode in PLACED.items()}
    assert system.service("mailctl-recover").is_enabled


def test_the_log_is_counted_and_yesterday_is_mailed(served: Fleet) -> None:
    system = served.system(MX1)
    for timer in ("mailctl-log-report.timer", "mailctl-digest.timer"):
        assert system.service(timer).is_running
        assert system.service(timer).is_enabled
    system.check_output("systemctl start mailctl-log-report.service mailctl-digest.service")
    assert "mailctl_mail_" in system.check_output("cat /var/lib/prometheus/node-exporter/*.prom")
    system.check_output("timeout 60 sh -c 'until grep -rqs \"^Subject: Mail of mx1\" /var/vmail; do sleep 0.2; done'")


def test_a_host_without_a_digest_reads_its_journal(served: Fleet) -> None:
    system = served.system(APP1)
    assert not system.file("/etc/systemd/system/mailctl-digest.timer").exists
    assert "--journal" in system.file("/etc/systemd/system/mailctl-log-report.service").content_string
    system.check_output("systemctl start mailctl-log-report.service")


@pytest.mark.parametrize("options", [(), ("-e", "mailctl_everything=true")], ids=["by the record", "every task"])
def test_another_run_changes_nothing(served: Fleet, options: tuple[str, ...]) -> None:
    outcome = served.play(*options)
    assert outcome.code == 0, outcome.text
    assert outcome.changed == NO_CHANGE, outcome.text


def test_a_service_that_was_stopped_runs_again(served: Fleet) -> None:
    served.hosts[MX2].run("systemctl", "disable", "--quiet", "--now", "postfix.service")
    outcome = served.play("--limit", MX2)
    assert outcome.code == 0, outcome.text
    assert served.system(MX2).service("postfix").is_enabled
    assert served.system(MX2).socket("tcp://0.0.0.0:25").is_listening


def test_check_mode_shows_what_would_change_and_changes_nothing(served: Fleet) -> None:
    before = served.generations()
    with served.changed_spec(*NEW_ALIAS):
        outcome = served.play("--check", "--diff")
    assert outcome.code == 0, outcome.text
    assert "+ alias sales@example.org  → ali@example.org  mailctl.yml:16" in outcome.text
    assert outcome.changed == {MX1: 1, MX2: 1, APP1: 1}
    assert served.generations() == before
    assert not any("sales" in spec_on(host) for host in served.hosts.values())


def test_a_host_that_refuses_stops_the_fleet(served: Fleet) -> None:
    before = served.generations()
    served.hosts[MX1].run("postconf", "-e", "mynetworks = 127.0.0.0/8, 10.0.0.0/8")
    with served.changed_spec(*NEW_ALIAS):
        outcome = served.play()
    assert outcome.code != 0
    assert outcome.failed == {MX1: 1, MX2: 0, APP1: 0}
    assert "changed by hand" in outcome.text
    assert served.generations() == before
    assert not any("sales" in spec_on(host) for host in served.hosts.values())


def test_what_was_changed_by_hand_goes_on_request(served: Fleet) -> None:
    outcome = served.play("-e", "mailctl_overwrite=true", "--limit", MX1)
    assert outcome.code == 0, outcome.text
    assert "10.0.0.0" not in served.hosts[MX1].run("postconf", "-h", "mynetworks").stdout


def test_what_only_a_running_server_shows_stops_the_fleet_before_anything_is_live(served: Fleet) -> None:
    before, files = served.generations(), live_files(served)
    with served.changed_spec(*NO_ROOM_FOR_MAIL):
        outcome = served.play("-vvv")
    assert outcome.code != 0
    assert outcome.failed == {MX1: 1, MX2: 0, APP1: 0}
    assert "the new configuration failed in the canary" in outcome.text
    assert "canary: delivery.mailbox: <ali@example.org> was answered '452 4.3.1" in outcome.text
    assert "ARGON2ID" not in outcome.text
    assert served.generations() == before
    assert live_files(served) == files
    assert not any("queue_minfree" in spec_on(host) for host in served.hosts.values())
    assert MailServer(served.hosts[MX1]).code_for("ali@example.org") == 250


def test_a_server_that_fails_its_probe_goes_back_and_stops_the_fleet(served: Fleet) -> None:
    before = served.generations()
    served.hosts[MX1].run("mv", MAILCTL, f"{MAILCTL}.real")
    served.hosts[MX1].put(MAILCTL, FAILING_PROBE, 0o755)
    with served.changed_spec(*NEW_ALIAS):
        outcome = served.play()
    served.hosts[MX1].run("mv", f"{MAILCTL}.real", MAILCTL)
    assert outcome.code != 0
    assert "an open relay" in outcome.text
    assert served.generations() == before
    assert "sales" not in spec_on(served.hosts[MX2])
