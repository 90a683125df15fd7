"""A mail server on a test host: its spec, mailctl as an administrator types it, and clients from elsewhere."""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
import subprocess
from email.message import EmailMessage
from typing import Any

from tests.hosts.harness.machine import DebianHost
from tests.hosts.harness.waiting import wait_until

DAEMONS = {"master": "postfix@-", "dovecot": "dovecot", "opendkim": "opendkim"}  # processes, and their units
PASSWORD = "correct horse"
HASH = (
    "{SHA512-CRYPT}$6$rounds=1000$xD3bdiV/jeOnfJ7F"
    "$d2hVgaBXUU.iDOBPqa7sfuNRkSq6xFodUbkvS2wm.MeKbg07p0IX.9sJewtVKohk8qIBHTmrsGU5RY1GeEBNS0"
)
SPEC_FILE = "/etc/mailctl/mailctl.yml"
JOURNALS = "var/lib/mailctl/journal"
APPLY_TIMEOUT = 180.0  # seconds; a few on a quiet machine
ARRIVAL_TIMEOUT = 90.0


def spec(*logins: str, more: str = "") -> str:
    """A full server for example.org where each login has a mailbox; `more` goes to the end."""
    mailboxes = "".join(f'      {login}: {{password: {{hash: "{HASH}"}}}}\n' for login in logins)
    return (
        "version: 1\n"
        "server: {hostname: mx1.example.org, role: full}\n"
        "tls: {self_signed: true}\n"
        "domains:\n"
        "  example.org:\n"
        "    dkim: {selector: s2026a}\n"
        f"    mailboxes:\n{mailboxes}"
        "    aliases: {info: [ali]}\n"
        "local_aliases: {root: ali@example.org, postmaster: ali@example.org}\n"
        f"routes: [{{via: direct}}]\n{more}"
    )


class MailServer:
    """A host that mailctl manages."""

    def __init__(self, host: DebianHost) -> None:
        self.host = host
        host.run("adduser", "--quiet", "--system", "--group", "--home", "/var/vmail", "--no-create-home", "vmail")

    def mailctl(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`mailctl ARGUMENTS`, which exits with `code`."""
        done = self.host.run("mailctl", *arguments, check=False, timeout=APPLY_TIMEOUT)
        assert done.returncode == code, f"mailctl {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def apply(self, text: str, *options: str, code: int = 0) -> str:
        """Make `text` the spec and apply it; what mailctl said."""
        self.host.put(SPEC_FILE, text, mode=0o600)
        done = self.mailctl("apply", "-y", *options, code=code)
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        done = self.host.run("mailctl", "status", "--json", check=False)
        return dict(json.loads(done.stdout))

    def journal(self) -> str:
        """What an unfinished apply wrote so far; empty where there is none. Works while the host is down."""
        return "".join(file.read_text() for file in (self.host.root / JOURNALS).glob("*.jsonl"))

    def files(self) -> str:
        """Checksums of everything that makes the services what they are."""
        places = "/etc/postfix /etc/dovecot /etc/opendkim /etc/opendkim.conf"
        return self.host.shell(f"find {places} -type f -not -name '.*' | sort | xargs sha256sum").stdout

    def pids(self) -> dict[str, int]:
        """The oldest process of each daemon that runs; systemd does not know which one Postfix's is."""
        found = {name: self.host.run("pgrep", "-o", "-x", name, check=False).stdout for name in DAEMONS}
        return {name: int(pid) for name, pid in found.items() if pid}

    def code_for(self, recipient: str, sender: str = "stranger@outside.example") -> int:
        """What port 25 answers to RCPT from an address it does not trust."""
        with smtplib.SMTP(self.host.address, 25, "mx.outside.example", timeout=60) as client:
            client.ehlo()
            client.mail(sender)
            return client.rcpt(recipient)[0]

    def deliver(self, recipient: str, subject: str, sender: str = "stranger@outside.example") -> None:
        """Mail from outside, over port 25."""
        with smtplib.SMTP(self.host.address, 25, "mx.outside.example", timeout=60) as client:
            client.send_message(message(sender, recipient, subject), sender, [recipient])

    def submission(self, login: str) -> smtplib.SMTP:
        """A session of a login on port 587."""
        client = smtplib.SMTP(self.host.address, 587, "client.example", timeout=60)
        try:
            client.starttls(context=unverified())
            client.login(login, PASSWORD)
        except smtplib.SMTPException:
            client.close()
            raise
        return client

    def imap(self, login: str) -> imaplib.IMAP4_SSL:
        """A session of a login on port 993."""
        client = imaplib.IMAP4_SSL(self.host.address, ssl_context=unverified(), timeout=60)
        try:
            client.login(login, PASSWORD)
        except imaplib.IMAP4.error:
            client.shutdown()
            raise
        return client

    def wait_for_mail(self, login: str, text: str) -> None:
        """Return once a message with `text` is in the INBOX of `login`."""

        def has_arrived() -> bool:
            with self.imap(login) as client:
                client.select(readonly=True)
                return client.search(None, "TEXT", f'"{text}"')[1] != [b""]

        wait_until(has_arrived, f"no mail with {text!r} reached {login}", ARRIVAL_TIMEOUT)


def message(sender: str, recipient: str, subject: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, recipient, subject
    made.set_content("hello")
    return made


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
