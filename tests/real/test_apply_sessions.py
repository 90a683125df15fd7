"""A removed login is out within seconds: no new session, and the open ones end."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_kit import Lab, password_hash, write_example

from mailctl.host import Completed
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.sandbox.network import SERVER_IPV4
from tests.waiting import eventually

pytestmark = pytest.mark.real

LOGIN, PASSWORD = "carol@example.org", "pw-carol"
LONGEST = 5.0  # seconds
CLIENT_TIMEOUT = 60.0  # seconds


@pytest.fixture(scope="module")
def lab(start_lab: Callable[[Path], Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A server on which carol has a mailbox."""
    spec = write_example(tmp_path_factory.mktemp("sessions"))
    (spec.parent / "secrets/carol").write_text(password_hash(PASSWORD))
    place = "    aliases:\n      info"
    row = "      carol: {password: {file: secrets/carol}}\n"
    spec.write_text(spec.read_text().replace(place, f"{row}{place}"))
    return start_lab(spec)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def log_in_to_imap(login: str, password: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(SERVER_IPV4, ssl_context=unverified(), timeout=CLIENT_TIMEOUT)
    try:
        client.login(login, password)
    except imaplib.IMAP4.error:
        client.shutdown()
        raise
    return client


def log_in_to_submission(login: str, password: str) -> smtplib.SMTP:
    client = smtplib.SMTP(SERVER_IPV4, 587, timeout=CLIENT_TIMEOUT)
    try:
        client.starttls(context=unverified())
        client.login(login, password)
    except smtplib.SMTPException:
        client.close()
        raise
    return client


def log_in_as_ali(lab: Lab) -> smtplib.SMTP:
    return lab.sandbox.call_outside(lambda: log_in_to_submission("ali@example.org", "pw-ali"))


def farewell(client: smtplib.SMTP) -> bytes:
    """What a client reads that waits for its server; nothing once that has hung up in good order."""
    assert client.sock is not None
    client.sock.settimeout(LONGEST)
    return client.sock.recv(100)


def is_over(noop: Callable[[], tuple[object, object]]) -> bool:
    """Whether the server has left this session, or tells it to go."""
    try:
        return noop()[0] not in ("OK", 250)
    except (imaplib.IMAP4.error, smtplib.SMTPException, OSError):
        return True


def test_sessions_of_a_removed_login_end_and_no_new_one_begins(lab: Lab) -> None:
    with contextlib.ExitStack() as stack:
        imap = lab.sandbox.call_outside(lambda: log_in_to_imap(LOGIN, PASSWORD))
        stack.callback(imap.shutdown)
        other = lab.sandbox.call_outside(lambda: log_in_to_imap("ali@example.org", "pw-ali"))
        stack.callback(other.shutdown)
        smtp = lab.sandbox.call_outside(lambda: log_in_to_submission(LOGIN, PASSWORD))
        stack.callback(smtp.close)
        assert not is_over(imap.noop)
        assert not is_over(smtp.noop)
        text = lab.spec_file.read_text()
        lab.spec_file.write_text(text.replace("      carol: {password: {file: secrets/carol}}\n", ""))
        done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--no-canary")
        assert done.returncode == 0, done.stderr
        assert eventually(lambda: is_over(imap.noop), LONGEST)
        assert farewell(smtp) == b""
        assert is_over(smtp.noop)
        assert not is_over(other.noop), "a login that stays keeps its IMAP session"
        again = log_in_as_ali(lab)
        stack.callback(again.close)
        assert "throttling" not in lab.log()
        with pytest.raises(imaplib.IMAP4.error):
            lab.sandbox.call_outside(lambda: log_in_to_imap(LOGIN, PASSWORD))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            lab.sandbox.call_outside(lambda: log_in_to_submission(LOGIN, PASSWORD))


def remove_after(lab: Lab, name: str, *prefix: str) -> Callable[[], Completed]:
    """An apply that takes the login `name` away again, which serves until then; `prefix` are words before it."""
    text = lab.spec_file.read_text()
    row = f"      {name}: {{password: {{file: secrets/carol}}}}\n"
    place = "    aliases:\n      info"
    lab.spec_file.write_text(text.replace(place, f"{row}{place}"))
    environment = [f"{name}={value}" for name, value in PYTHON_ENVIRONMENT.items()]
    verb = python_module("mailctl", "-f", str(lab.spec_file), "apply", "-y", "--no-canary")
    done = lab.sandbox.run(["env", *environment, *verb])
    assert done.returncode == 0, done.complaint
    lab.spec_file.write_text(text)
    return lambda: lab.sandbox.run([*prefix, "env", *environment, *verb])


def assert_no_process_was_killed(lab: Lab) -> None:
    """The master stops a service for a minute where a process of it is killed in its first session, or before."""
    assert "killed by signal" not in lab.log()
    assert "throttling" not in lab.log()
    log_in_as_ali(lab).close()


@pytest.mark.parametrize("is_open", [True, False], ids=("first sessions", "idle processes"))
def test_ending_sessions_stops_no_service(lab: Lab, is_open: bool) -> None:
    remove = remove_after(lab, "dora")
    with contextlib.ExitStack() as stack:
        clients = [log_in_as_ali(lab) for _ in range(5)]
        for client in clients:
            stack.callback(client.close)
        if not is_open:
            stack.close()
        done = remove()
        assert done.returncode == 0, done.complaint
        assert not is_open or all(is_over(client.noop) for client in clients)
    assert_no_process_was_killed(lab)


def test_a_message_under_way_is_cut_off_and_can_be_sent_again(lab: Lab) -> None:
    remove = remove_after(lab, "dora")
    with contextlib.closing(log_in_as_ali(lab)) as smtp:
        for command in ("MAIL FROM:<ali@example.org>", "RCPT TO:<bob@example.org>", "DATA"):
            assert smtp.docmd(command)[0] in (250, 354)
        smtp.send("Subject: cut off\r\n\r\nhalf of")
        assert remove().returncode == 0
        assert farewell(smtp) == b""
    lab.submit("ali@example.org", "bob@example.org", subject="sent again")
    assert b"cut off" not in lab.wait_for_mail("bob@example.org", "sent again")
    assert_no_process_was_killed(lab)


def test_where_the_kernel_forbids_it_a_warning_says_whose_sessions_may_be_open(lab: Lab) -> None:
    remove = remove_after(lab, "dora", "setpriv", "--bounding-set", "-sys_ptrace")
    with contextlib.closing(log_in_as_ali(lab)) as smtp:
        done = remove()
        assert done.returncode == 0, done.complaint
        assert "they may be those of dora@example.org" in done.stderr.decode()
        assert not is_over(smtp.noop)
    assert_no_process_was_killed(lab)


def test_sessions_of_a_login_that_came_with_an_unconfirmed_apply_end_when_it_is_undone(lab: Lab) -> None:
    text = lab.spec_file.read_text()
    place = "    aliases:\n      info"
    lab.spec_file.write_text(text.replace(place, f"      erin: {{password: {{file: secrets/carol}}}}\n{place}"))
    done = lab.mailctl("-f", str(lab.spec_file), "apply", "-y", "--no-canary", "--confirm-within", "10m")
    lab.spec_file.write_text(text)
    assert done.returncode == 0, done.stderr
    with contextlib.ExitStack() as stack:
        imap = lab.sandbox.call_outside(lambda: log_in_to_imap("erin@example.org", PASSWORD))
        stack.callback(imap.shutdown)
        other = lab.sandbox.call_outside(lambda: log_in_to_imap("ali@example.org", "pw-ali"))
        stack.callback(other.shutdown)
        smtp = lab.sandbox.call_outside(lambda: log_in_to_submission("erin@example.org", PASSWORD))
        stack.callback(smtp.close)
        done = lab.mailctl("rollback", "-y")
        assert done.returncode == 0, done.stderr
        assert "an unconfirmed apply was undone" in done.stderr
        assert eventually(lambda: is_over(imap.noop), LONGEST)
        assert farewell(smtp) == b""
        assert not is_over(other.noop), "a login that stays keeps its IMAP session"
    assert_no_process_was_killed(lab)
