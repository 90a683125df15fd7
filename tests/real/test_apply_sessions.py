"""A removed login is out within seconds: no new session, and the open ones end."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_kit import Lab, eventually, password_hash, write_example

from mailctl.sandbox.network import SERVER_IPV4

pytestmark = pytest.mark.real

LOGIN, PASSWORD = "carol@example.org", "pw-carol"
LONGEST = 5.0  # seconds


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
    client = imaplib.IMAP4_SSL(SERVER_IPV4, ssl_context=unverified(), timeout=10)
    try:
        client.login(login, password)
    except imaplib.IMAP4.error:
        client.shutdown()
        raise
    return client


def log_in_to_submission(login: str, password: str) -> smtplib.SMTP:
    client = smtplib.SMTP(SERVER_IPV4, 587, timeout=10)
    try:
        client.starttls(context=unverified())
        client.login(login, password)
    except smtplib.SMTPException:
        client.close()
        raise
    return client


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
        assert eventually(lambda: is_over(smtp.noop), LONGEST)
        assert not is_over(other.noop), "a login that stays keeps its IMAP session"
        again = lab.sandbox.call_outside(lambda: log_in_to_submission("ali@example.org", "pw-ali"))
        stack.callback(again.close)
        assert "throttling" not in lab.log()
        with pytest.raises(imaplib.IMAP4.error):
            lab.sandbox.call_outside(lambda: log_in_to_imap(LOGIN, PASSWORD))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            lab.sandbox.call_outside(lambda: log_in_to_submission(LOGIN, PASSWORD))


def test_ending_sessions_stops_no_service(lab: Lab) -> None:
    """The master stops a service for a minute where a process of it dies before it had a client."""
    text = lab.spec_file.read_text()
    row = "      dora: {password: {file: secrets/carol}}\n"
    place = "    aliases:\n      info"
    lab.spec_file.write_text(text.replace(place, f"{row}{place}"))
    verb = ("-f", str(lab.spec_file), "apply", "-y", "--no-canary")
    assert lab.mailctl(*verb).returncode == 0
    lab.spec_file.write_text(text)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.callback(lab.sandbox.call_outside(lambda: log_in_to_submission("ali@example.org", "pw-ali")).close)
    done = lab.mailctl(*verb)
    assert done.returncode == 0, done.stderr
    assert "throttling" not in lab.log()
    lab.sandbox.call_outside(lambda: log_in_to_submission("ali@example.org", "pw-ali")).close()
