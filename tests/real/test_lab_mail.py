"""The lab as its users see it: mail in, mail out, and who is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dkim
import dns.resolver
import pytest
from lab_kit import Lab, processes_naming, run_mailctl, write_example

from mailctl.host import LocalHost
from mailctl.lab import places
from mailctl.lab.log import lines_of_message
from mailctl.sandbox import Fault
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from mailctl.sandbox.network import OUTSIDE_IPV4
from mailctl.sandbox.process import Process
from tests.waiting import catches, eventually

pytestmark = pytest.mark.real

LABS = Path(places.LABS)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text("pw-ali\n")
    return tmp_path / "password"


@pytest.fixture
def isp_is_down(lab: Lab) -> Iterator[None]:
    lab.sandbox.disturb("email-smtp.eu-west-1.amazonaws.com", Fault.DOWN)
    yield
    lab.sandbox.disturb("email-smtp.eu-west-1.amazonaws.com", None)


def test_mail_from_outside_is_read_over_imap(lab: Lab) -> None:
    outcome = lab.send("stranger@partner.example", "ali@example.org", subject="to the mailbox")
    assert outcome.is_accepted
    assert b"Received: from outside.client.example" in lab.wait_for_mail("ali@example.org", "to the mailbox")


@pytest.mark.parametrize(
    ("recipient", "code"), [("nobody@example.org", 550), ("x@elsewhere.example", 554), ("ali@nowhere.invalid", 554)]
)
def test_who_is_not_ours_is_refused(lab: Lab, recipient: str, code: int) -> None:
    outcome = lab.send("stranger@partner.example", recipient)
    assert not outcome.is_accepted
    assert outcome.replies[recipient].code == code


def test_each_recipient_gets_its_own_reply(lab: Lab) -> None:
    outcome = lab.send("stranger@partner.example", "ali@example.org", "nobody@example.org")
    assert {address: reply.code for address, reply in outcome.replies.items()} == {
        "ali@example.org": 250,
        "nobody@example.org": 550,
    }
    assert outcome.queue_id
    assert not outcome.is_accepted


@pytest.mark.parametrize("source", ["192.0.2.201", "2001:db8::201"])
def test_the_server_sees_the_client_as_an_outsider(lab: Lab, source: str) -> None:
    outcome = lab.send("stranger@partner.example", "x@elsewhere.example", source=source)
    assert outcome.replies["x@elsewhere.example"].code == 554
    assert f"[{source}]" in lab.log()


def test_a_wrong_password_is_refused(lab: Lab) -> None:
    outcome = lab.send("ali@example.org", "x@far.example", port=465, login="ali@example.org", password="wrong")
    assert outcome.replies["x@far.example"].code == 535


def test_mail_leaves_through_the_relay_of_its_route(lab: Lab) -> None:
    assert lab.submit("ali@example.org", "carol@partner.example").is_accepted
    message = lab.wait_for_left("carol@partner.example")
    assert (message.host, message.port, message.login) == ("smtp.isp.example", 587, "example")
    assert message.tls == "TLSv1.3"


def test_an_internal_relay_is_reached_by_its_address(lab: Lab) -> None:
    assert lab.submit("ali@example.org", "someone@intra.example.org", port=465).is_accepted
    message = lab.wait_for_left("someone@intra.example.org")
    assert (message.host, message.port, message.login) == ("10.0.0.5", 25, "")


def test_direct_mail_goes_to_the_mx(lab: Lab) -> None:
    assert lab.submit("ali@example.org", "dan@far.example").is_accepted
    assert lab.wait_for_left("dan@far.example").host == "mx.far.example"


def test_a_relay_that_is_down_is_replaced_by_the_next(lab: Lab, isp_is_down: None) -> None:
    assert lab.submit("editor@news.example.org", "reader@far.example").is_accepted
    assert lab.wait_for_left("reader@far.example").host == "smtp.isp.example"


def test_what_leaves_is_signed_with_the_key_the_world_finds(lab: Lab) -> None:
    assert lab.submit("ali@example.org", "verifier@far.example").is_accepted
    message = lab.wait_for_left("verifier@far.example")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [OUTSIDE_IPV4]

    def find(name: bytes, timeout: float = 5) -> bytes:
        return b"".join(resolver.resolve(name.decode(), "TXT", lifetime=timeout)[0].strings)

    assert lab.sandbox.call_outside(lambda: dkim.verify(message.content, dnsfunc=find))
    # The same key does not vouch for other words.
    altered = message.content.replace(b"hello", b"goodbye")
    assert not lab.sandbox.call_outside(lambda: dkim.verify(altered, dnsfunc=find))


def test_a_message_is_followed_through_the_log(lab: Lab) -> None:
    outcome = lab.send("stranger@partner.example", "bob@example.org", subject="to be followed")
    lab.wait_for_mail("bob@example.org", "to be followed")
    other = lab.send("stranger@partner.example", "ali@example.org")
    lines = list(lines_of_message(lab.log().splitlines(), outcome.queue_id))
    assert any("status=sent" in line for line in lines)
    assert any("saved mail to INBOX" in line for line in lines)
    assert not any(other.queue_id in line for line in lines)


class TestCommands:
    """The verbs themselves, as a user types them."""

    def test_send_tells_what_was_refused(self, lab: Lab) -> None:
        done = run_mailctl(
            "lab", "send", "--name", lab.name, "--from", "a@far.example", "--to", "nobody@example.org", "--json"
        )
        assert done.returncode == 1
        found = json.loads(done.stdout)
        assert found["accepted"] is False
        assert found["recipients"][0]["code"] == 550

    def test_send_and_read_with_a_password_file(self, lab: Lab, password_file: Path) -> None:
        login = ("--password-file", str(password_file))
        arguments = ("--from", "ali@example.org", "--to", "ali@example.org", "--subject", "to myself", "--port", "465")
        sent = run_mailctl("lab", "send", "--name", lab.name, *arguments, "--login", "ali@example.org", *login)
        assert sent.returncode == 0, sent.stderr
        lab.wait_for_mail("ali@example.org", "to myself")
        read = run_mailctl("lab", "read", "--name", lab.name, "ali@example.org", *login)
        assert read.returncode == 0, read.stderr
        assert "Subject: to myself" in read.stdout
        assert "pw-ali" not in sent.stdout + sent.stderr + read.stdout + lab.log()

    def test_a_password_nobody_can_type_is_a_sentence(self, lab: Lab) -> None:
        done = run_mailctl("lab", "read", "--name", lab.name, "ali@example.org", "--no-input")
        assert done.returncode == 64
        assert "--password-file" in done.stderr

    def test_a_refused_login_is_a_sentence(self, lab: Lab, password_file: Path) -> None:
        done = run_mailctl("lab", "read", "--name", lab.name, "bob@example.org", "--password-file", str(password_file))
        assert done.returncode == 1
        assert "Authentication failed" in done.stderr
        assert "Traceback" not in done.stderr

    def test_status_shows_services_and_what_left(self, lab: Lab) -> None:
        lab.submit("ali@example.org", "status@far.example")
        lab.wait_for_left("status@far.example")
        found = json.loads(run_mailctl("lab", "status", "--name", lab.name, "--json").stdout)
        assert found["services"] == {"postfix": True, "dovecot": True, "opendkim": True}
        assert ["status@far.example"] in [message["recipients"] for message in found["left"]]

    def test_status_shows_what_waits_and_why(self, lab: Lab) -> None:
        lab.submit("ali@example.org", "defer-451@far.example")
        lab.wait_for(lambda: "status=deferred" in lab.log() or None, "nothing was deferred")
        shown = run_mailctl("lab", "status", "--name", lab.name).stdout
        assert "<defer-451@far.example>" in shown
        assert "as the recipient asks" in shown
        lab.run("postsuper", "-d", "ALL")

    def test_exec_runs_inside(self, lab: Lab) -> None:
        done = run_mailctl("lab", "exec", "--name", lab.name, "--", "hostname", "--fqdn")
        assert (done.returncode, done.stdout) == (0, "mx1.example.org\n")

    def test_world_lists_what_it_was_told(self, lab: Lab) -> None:
        told = run_mailctl("lab", "world", "--name", lab.name, "Sick.example", "down")
        assert (told.stdout, told.stderr) == ("sick.example down\n", "")
        assert run_mailctl("lab", "world", "--name", lab.name, "sick.example", "well").stdout == ""

    def test_log_of_one_message(self, lab: Lab) -> None:
        outcome = lab.send("stranger@partner.example", "bob@example.org", subject="for the log")
        lab.wait_for_mail("bob@example.org", "for the log")
        done = run_mailctl("lab", "log", "--name", lab.name, "--id", outcome.queue_id)
        assert done.stdout.count(outcome.queue_id) >= 4
        assert "bob@example.org" in done.stdout

    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_an_id_the_log_does_not_know_is_a_failure(self, lab: Lab, options: tuple[str, ...]) -> None:
        done = run_mailctl("lab", "log", "--name", lab.name, "--id", "4NoSuchId", *options)
        assert done.returncode == 1
        assert "no line of the log names '4NoSuchId'" in done.stdout + done.stderr

    def test_list_names_the_labs_that_are_up(self, lab: Lab) -> None:
        assert lab.name in run_mailctl("lab", "list").stdout.splitlines()
        assert lab.name in json.loads(run_mailctl("lab", "list", "--json").stdout)["labs"]

    def test_a_port_nobody_listens_on_is_named_in_words(self, lab: Lab, tmp_path: Path) -> None:
        lab.run("postfix", "stop")
        try:
            done = run_mailctl("lab", "send", "--name", lab.name, "--from", "a@far.example", "--to", "ali@example.org")
        finally:
            lab.run("postfix", "start")
        assert done.returncode == 1
        assert "port 25 of the lab: Connection refused" in done.stderr

    def test_a_second_up_is_refused(self, lab: Lab) -> None:
        done = run_mailctl("lab", "up", "--name", lab.name, "-f", str(lab.spec_file))
        assert done.returncode == 75
        assert "is up already" in done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--from", "a@far.example", "--source", "999.1.1.1"),
            ("--from", "a@far.example", "--source", "127.0.0.1"),
            ("--from", "a@far.example", "--source", "2001:db8::10"),
            ("--from", "ä@far.example"),
            ("--from", "a@far.example", "--subject", "hi\nBcc: x@far.example"),
        ],
    )
    def test_what_cannot_be_sent_is_a_sentence(self, lab: Lab, arguments: tuple[str, ...]) -> None:
        done = run_mailctl("lab", "send", "--name", lab.name, "--to", "ali@example.org", *arguments)
        assert done.returncode == 64
        assert "unexpected" not in done.stderr

    def test_root_makes_no_sense(self, lab: Lab, tmp_path: Path) -> None:
        assert run_mailctl("lab", "status", "--name", lab.name, "--root", str(tmp_path)).returncode == 64


def test_any_verb_runs_inside(lab: Lab) -> None:
    done = lab.mailctl("plan", "-f", str(lab.spec_file))
    assert done.returncode == 0, done.stderr
    assert "No changes" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.1, 0.3, 2.0])
def test_a_signal_reaches_the_verb_inside_and_is_told_once(lab: Lab, number: signal.Signals, delay: float) -> None:
    # It waits for a password; env: a test run in the background ignores Ctrl-C, and so would the program.
    verb = ["env", "--default-signal=INT,TERM", sys.executable, "-P", "-m", "mailctl", f"--lab={lab.name}", "hash"]
    with subprocess.Popen(
        verb, env=PYTHON_ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        # Python itself does not catch it.
        assert eventually(lambda: catches(process.pid, signal.SIGTERM))
        time.sleep(delay)
        process.send_signal(number)
        # Not communicate(): it closes stdin, and the end of the password could come before the signal.
        process.wait(timeout=30)
        said = process.stderr.read() if process.stderr else ""
    assert (process.returncode, said.strip()) == (130, "mailctl: interrupted")


def test_the_host_was_not_touched(lab: Lab) -> None:
    for path in ("/etc/opendkim/SigningTable", "/etc/dovecot/mailctl.users", "/var/lib/mailctl"):
        assert lab.sandbox.path(path).exists()
        assert not Path(path).exists()
    assert "mailctl" not in Path("/etc/postfix/main.cf").read_text()


UP_AND_DOWN = f"test-up-down-{os.getpid()}"


def test_up_and_down_leave_nothing(example_file: Path, lab: Lab) -> None:
    up = run_mailctl("lab", "up", "--name", UP_AND_DOWN, "-f", str(example_file), "--json")
    try:
        assert up.returncode == 0, up.stderr
        found = json.loads(up.stdout)
        assert found["services"]["postfix"]
        # The one of the other tests has the same addresses, and another queue.
        first = lab.send("stranger@partner.example", "ali@example.org")
        assert eventually(lambda: first.queue_id in lab.log())
        assert first.queue_id not in run_mailctl("lab", "log", "--name", UP_AND_DOWN).stdout
    finally:
        down = run_mailctl("lab", "down", "--name", UP_AND_DOWN)
    assert down.returncode == 0, down.stderr
    assert not list(Path(found["folder"]).parent.glob("*test-up-down*"))
    assert [Process.find(pid) for pid in found["pids"].values()] == [None, None]
    assert found["folder"] not in Path("/proc/mounts").read_text()
    again = run_mailctl("lab", "down", "--name", UP_AND_DOWN, "--json")
    assert again.returncode == 0
    assert "no lab" in again.stderr
    assert json.loads(again.stdout)["was_up"] is False


INTERRUPTED = f"test-interrupted-{os.getpid()}"

# How far `lab up` has come, by what can be seen of it; its argument is the spec file.
MOMENTS: dict[str, Callable[[Path], object]] = {
    "folder made": lambda _: (LABS / INTERRUPTED).exists(),
    "processes run": lambda _: processes_naming(f"{LABS}/{INTERRUPTED}"),
    "apply runs inside": lambda spec_file: set(processes_naming("\0apply\0")) & set(processes_naming(str(spec_file))),
    "tables built": lambda _: tables_inside(INTERRUPTED),
}


def tables_inside(name: str) -> list[Path]:
    found = places.find_lab(LocalHost(), name)
    return list(found.path("/var/lib/mailctl/generations").glob("*")) if found and found.is_alive() else []


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_up_that_is_interrupted_leaves_nothing(tmp_path: Path, lab: Lab, moment: str) -> None:
    """Ctrl-C in a terminal: every process that belongs to it gets the signal."""
    spec_file = write_example(tmp_path)
    up = ["env", "--default-signal=INT", sys.executable, "-P", "-m", "mailctl", "lab", "up", "--name", INTERRUPTED]
    try:
        with subprocess.Popen(
            [*up, "-f", str(spec_file)],
            env=PYTHON_ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert eventually(lambda: MOMENTS[moment](spec_file))
            os.killpg(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert (process.returncode, said.strip()) == (130, "mailctl: interrupted")
        assert not list(LABS.glob(f"*{INTERRUPTED}*"))
        assert eventually(lambda: not processes_naming(f"{LABS}/{INTERRUPTED}"))
    finally:
        run_mailctl("lab", "down", "--name", INTERRUPTED)


def test_down_clears_what_a_killed_up_left(require_root: None) -> None:
    name = f"test-left-{os.getpid()}"
    left = LABS / name
    left.mkdir(parents=True)
    (left / "server.key").write_text("a key")
    done = run_mailctl("lab", "down", "--name", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(LABS.glob(f"*{name}*"))
