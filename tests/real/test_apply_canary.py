"""The canary on a real server: what it finds never goes live, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty_mailctl import FAULTS
from lab_kit import Lab, password_hash, write_example

from mailctl.host import Completed
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from tests.waiting import eventually

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).with_name("faulty_mailctl.py")
ENVIRONMENT = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
PLACE = "    aliases:\n      info"
# What is said of each fault; the canary must find it for the right reason.
FOUND = {
    "open relay": "relay.stranger: RCPT TO",
    "open relay for our senders": "relay.our-address: RCPT TO",
    "unknown restriction": "unknown smtpd restriction",
    "missing certificate": "/etc/ssl/nowhere.pem",
    "dead milter socket": "connect to Milter service unix:/nowhere.sock",
    "no milter": "signing.leaves-signed: the message left unsigned",
    "no logins": "private/nowhere",
    "mail goes nowhere": "delivery.mailbox: mail to",
    "anybody is anybody": "identity.outside",
    "submission in clear": "auth.no-mail-in-clear",
    "missing table": "/etc/postfix/nowhere",
    "bad number": "bad numerical configuration",
    "bad number of the queue": "postfix/qmgr: fatal: bad numerical configuration",
    "bad level": "sometimes",
    "no such daemon": "qmgrr",
    "group may write": "group or other writable",
    "dovecot without certificate": "/nowhere",
    "a signer for everybody": "signing.strangers: a stranger's message was signed",
}

# One of each kind; `make long` tries them all.
QUICK = ("open relay", "unknown restriction", "missing certificate", "dead milter socket", "group may write")
TRIED = tuple(FAULTS) if os.environ.get("MAILCTL_CANARY_FAULTS") == "all" else QUICK


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A server, and a spec with one mailbox more than it serves."""
    lab = start_lab(write_example(tmp_path_factory.mktemp("canary")))
    (lab.spec_file.parent / "secrets/carol").write_text(password_hash("pw-carol"))
    text = lab.spec_file.read_text()
    assert PLACE in text
    lab.spec_file.write_text(text.replace(PLACE, f"      carol: {{password: {{file: secrets/carol}}}}\n{PLACE}"))
    (lab.spec_file.parent / SCRIPT.name).write_text(SCRIPT.read_text())
    return lab


def run(lab: Lab, *words: str) -> Completed:
    return lab.sandbox.run(["env", *ENVIRONMENT, sys.executable, "-P", *words], timeout=120)


def apply_with(lab: Lab, fault: str, *options: str) -> Completed:
    script = str(lab.spec_file.parent / SCRIPT.name)
    return run(lab, script, fault, "-f", str(lab.spec_file), "apply", "-y", *options)


def state(lab: Lab) -> str:
    """Every file mailctl writes, with its inode and time of change; what the signer and Dovecot run on; the log."""
    places = ("/etc/postfix", "/etc/dovecot", "/etc/opendkim", "/etc/opendkim.conf", "/var/lib/mailctl/history")
    files = lab.run("find", *places, "-printf", "%p %i %C@ %m %u %g\n")
    mail = lab.run("find", "/var/vmail", "/var/spool/postfix", "-type", "f", "-not", "-path", "*/pid/*")
    return f"{files}{mail}{lab.log().count('reload -- version')} {lab.run('ls', '/var/lib/mailctl/staging')}"


@pytest.mark.parametrize("fault", TRIED)
def test_a_fault_that_only_a_running_server_shows_never_goes_live(lab: Lab, fault: str) -> None:
    before, sent = state(lab), len(lab.sandbox.messages())
    done = apply_with(lab, fault)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "the new configuration failed in the canary" in said
    assert FOUND[fault] in said
    assert "nothing was changed" in said
    assert state(lab) == before
    assert len(lab.sandbox.messages()) == sent, "a message of the canary reached the world outside of it"
    assert lab.mailctl("status").returncode == 0


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("open relay", "live server: relay.stranger: RCPT TO"),
        ("submission in clear", "live server: auth.no-mail-in-clear"),
        ("anybody is anybody", "live server: identity.tables: submission lacks"),
        # Mail is accepted, and stays in the queue for ever.
        ("bad number of the queue", "mail log: postfix/qmgr: fatal: bad numerical configuration"),
    ],
)
def test_a_fault_that_went_live_is_put_back_at_once(lab: Lab, fault: str, found: str) -> None:
    before = files(lab)
    done = apply_with(lab, fault, "--no-canary")
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert found in said
    assert "the old configuration is back and serves" in said
    assert files(lab) == before
    assert "mailctl-probe" not in lab.run("ip", "link")
    assert lab.mailctl("status").returncode == 0
    assert lab.send("stranger@partner.example", "x@elsewhere.example").replies["x@elsewhere.example"].code == 554


def files(lab: Lab) -> str:
    return lab.run("sh", "-c", "find /etc/postfix /etc/dovecot /etc/opendkim* -type f | sort | xargs sha256sum")


def test_a_sound_change_passes_and_the_history_says_so(lab: Lab) -> None:
    before = lab.run("find", "/var/vmail", "-type", "f")
    sent = len(lab.sandbox.messages())
    done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--json")
    assert done.returncode == 0, done.stderr
    assert "The canary passed" in done.stderr
    passed = json.loads(done.stdout)["canary"]
    assert passed["checks"] > 50
    history = json.loads(lab.mailctl("history", "--json").stdout)
    assert history["generations"][0]["canary"] == passed
    assert f"Canary: {passed['checks']} checks" in lab.mailctl("history").stdout
    # Its probe logged in, had mail delivered and sent some: all of that is gone.
    assert lab.run("find", "/var/vmail", "-type", "f") == before
    assert len(lab.sandbox.messages()) == sent
    assert "probe" not in lab.run("cat", "/etc/dovecot/mailctl.users")
    assert "No changes." in lab.mailctl("-f", str(lab.spec_file), "apply", "-y").stdout


@pytest.fixture
def changed(lab: Lab) -> Iterator[Lab]:
    """A change that waits to be applied."""
    text = lab.spec_file.read_text()
    lab.spec_file.write_text(text.replace("message_size: 50M", "message_size: 40M"))
    yield lab
    lab.spec_file.write_text(text)


def processes(lab: Lab) -> str:
    """Those of mail services and sandboxes inside, by name."""
    found = lab.run("ps", "-e", "-o", "comm=,args=").splitlines()
    return "\n".join(
        sorted(
            line for line in found if line.split()[0] in ("master", "dovecot", "opendkim") or "mailctl.sandbox" in line
        )
    )


def mounts_of(lab: Lab) -> set[str]:
    return set(lab.run("cat", "/proc/mounts").splitlines())


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)]
)
def test_ended_while_the_canary_lives_nothing_of_it_stays(changed: Lab, number: signal.Signals, exit_code: int) -> None:
    lab = changed
    main_cf, mounts, running = lab.run("sha256sum", "/etc/postfix/main.cf"), mounts_of(lab), processes(lab)
    words = [*lab.sandbox.entering(), "env", *ENVIRONMENT, *python_module("mailctl", "-f", str(lab.spec_file))]
    with subprocess.Popen([*words, "apply", "-y"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        # A second master: Postfix runs in the canary, and the probe begins.
        assert eventually(lambda: lab.run("pgrep", "-xc", "master").strip() == "2")
        inner = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(inner[0]), number)
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode in (exit_code, 128 + number), said
    assert eventually(lambda: processes(lab) == running), processes(lab)
    assert mounts_of(lab) <= mounts
    assert "world" not in lab.run("ip", "link")
    assert lab.mailctl("recover").returncode == 0
    assert lab.run("ls", "/var/lib/mailctl/staging") == ""
    assert lab.run("sha256sum", "/etc/postfix/main.cf") == main_cf


def test_where_no_canary_can_live_apply_says_what_to_do(changed: Lab) -> None:
    words = python_module("mailctl", "-f", str(changed.spec_file), "apply", "-y")
    unprivileged = ["setpriv", "--bounding-set", "-sys_admin", "env", *ENVIRONMENT, *words]
    before = state(changed)
    done = changed.sandbox.run(unprivileged)
    said = done.stderr.decode()
    assert done.returncode == 69, said
    assert "no canary can live on this machine: " in said
    assert "Operation not permitted" in said
    assert "--no-canary" in said
    assert state(changed) == before
    done = changed.sandbox.run([*unprivileged, "--no-canary"])
    assert done.returncode == 0, done.stderr
    assert "this goes live without a canary" in done.stderr.decode()
    assert json.loads(changed.mailctl("history", "--json").stdout)["generations"][0]["canary"] is None


def test_an_edit_by_hand_while_the_canary_lives_is_not_lost(changed: Lab) -> None:
    lab = changed
    lab.spec_file.write_text(lab.spec_file.read_text().replace("message_size: 40M", "message_size: 30M"))
    script = """
        "$@" & pid=$!
        until test -d /var/lib/mailctl/staging/*/canary; do kill -0 $pid || break; done
        echo '# by hand' >> /etc/postfix/main.cf; wait $pid
    """
    words = python_module("mailctl", "-f", str(lab.spec_file), "apply", "-y")
    done = lab.sandbox.run(["sh", "-c", script, "sh", "env", *ENVIRONMENT, *words], timeout=120)
    assert done.returncode == 75, done.complaint
    assert "/etc/postfix/main.cf changed while the apply was being made ready" in done.stderr.decode()
    assert lab.run("tail", "-n1", "/etc/postfix/main.cf") == "# by hand\n"
    assert lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--overwrite", "--no-canary").returncode == 0


def test_an_apply_asks_no_network(changed: Lab) -> None:
    """With a world that says nothing, DNS included, it comes to the same end."""
    lab = changed
    lab.spec_file.write_text(lab.spec_file.read_text().replace("message_size: 40M", "message_size: 20M"))
    os.kill(lab.sandbox.supervisor.pid, signal.SIGSTOP)
    try:
        done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y")
    finally:
        os.kill(lab.sandbox.supervisor.pid, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    assert "The canary passed" in done.stderr
    assert "it gave strangers no answer to judge" in done.stderr or "warning" not in done.stderr
