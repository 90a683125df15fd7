"""A real Postfix with two instances and what is around it, in namespaces of its own: where recordings are made.

Enter with `python world.py COMMAND...`: COMMAND then runs as root of private net, mount, pid and host name
namespaces whose /etc, /var, /run and /dev are its own. Nothing of the host is touched, nothing is left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
NAMESPACES = ("setpriv", "--pdeathsig", "KILL", "unshare", "-n", "-m", "-p", "-u", "-f", "--kill-child", "--mount-proc")
HOST = "mx1"
OUTSIDE = "198.51.100.9"  # not in mynetworks; an address of the loopback interface here
DENIED = "198.51.100.66"  # on postscreen's list
SINKS = {
    2600: (),  # takes everything
    2601: ("-r", "RCPT"),  # 450 at RCPT
    2602: ("-f", "RCPT"),  # 500 at RCPT
    2603: ("-f", "."),  # 500 after the message
    2604: ("-q", "DATA"),  # hangs up
    2605: ("-L",),  # LMTP
}
SETTINGS = """
compatibility_level = 3.6
mail_owner = postfix
setgid_group = postdrop
myhostname = mx1.example.org
myorigin = mx1.example.org
mydestination = mx1.example.org, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = all
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtpd_peername_lookup = yes
alias_maps = lmdb:/etc/postfix/aliases
alias_database = lmdb:/etc/postfix/aliases
virtual_mailbox_domains = example.org
virtual_mailbox_maps = regexp:/etc/postfix/mailboxes
virtual_mailbox_base = /var/mail/virtual
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
transport_maps = texthash:/etc/postfix/transport
smtpd_recipient_restrictions = check_recipient_access texthash:/etc/postfix/access,
    warn_if_reject reject_non_fqdn_helo_hostname, permit
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/chain.pem
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
smtp_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
header_checks = regexp:/etc/postfix/header_checks
body_checks = regexp:/etc/postfix/body_checks
postscreen_access_list = cidr:/etc/postfix/postscreen_access
postscreen_denylist_action = enforce
postscreen_greet_action = enforce
postscreen_greet_wait = 1s
postscreen_cache_map = lmdb:$data_directory/postscreen_cache
address_verify_map = lmdb:$data_directory/verify_cache
maximal_backoff_time = 4000s
notify_classes =
"""
TABLES = {
    "mailboxes": ["/^ali@example.org$/ ali", "/^bob@example.org$/ bob", '/^"?a b"?@example.org$/ ab'],
    "transport": [
        "ok.example smtp:[127.0.0.1]:2600",
        "later.example smtp:[127.0.0.1]:2601",
        "never.example smtp:[127.0.0.1]:2602",
        "end.example smtp:[127.0.0.1]:2603",
        "hangup.example smtp:[127.0.0.1]:2604",
        "lmtp.example lmtp:inet:127.0.0.1:2605",
        "closed.example smtp:[127.0.0.1]:9",
        "second.example smtp:[127.0.0.1]:10026",
        "drop.example discard:silently",
        "pipe.example sink:",
    ],
    "access": [
        "later@example.org 450 4.2.0 try again",
        "hold@ok.example HOLD",
        "discard@ok.example DISCARD",
        "filter@ok.example FILTER smtp:[127.0.0.1]:10025",
        "plain@ok.example FILTER smtp:[127.0.0.1]:10027",
    ],
    "aliases": ["root: ali@example.org", "both: bob@example.org, root", "postmaster: root"],
    "header_checks": ["/^Subject: refuse/ REJECT no", "/^Subject: warn/ WARN look"],
    "body_checks": ["/refuse this body/ REJECT no"],
    "postscreen_access": [f"{DENIED} reject"],
}
# 10025 stands for a content filter that speaks XFORWARD, 10027 for one that does not, 10026 is the second instance.
SERVICES = """
smtp      inet n - n - -  smtpd
2525      inet n - n - 1  postscreen
smtpd     pass - - n - -  smtpd
dnsblog   unix - - n - 0  dnsblog
tlsproxy  unix - - n - 0  tlsproxy
587       inet n - n - -  smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_security_level=encrypt
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=
10025     inet n - n - -  smtpd
  -o syslog_name=postfix/10025
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o smtpd_recipient_restrictions=permit
10027     inet n - n - -  smtpd
  -o syslog_name=postfix/10027
  -o smtpd_recipient_restrictions=permit
2526      inet n - n - -  smtpd
  -o smtpd_milters=inet:127.0.0.1:8899
2527      inet n - n - -  smtpd
  -o smtpd_recipient_restrictions=reject_unverified_recipient,permit
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0  cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - -  trivial-rewrite
bounce    unix - - n - 0  bounce
defer     unix - - n - 0  bounce
trace     unix - - n - 0  bounce
verify    unix - - n - 1  verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - -  proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n - -  smtp
  -o smtp_send_xforward_command=yes
relay     unix - - n - -  smtp
showq     unix n - n - -  showq
error     unix - - n - -  error
retry     unix - - n - -  error
discard   unix - - n - -  discard
local     unix - n n - -  local
virtual   unix - n n - -  virtual
lmtp      unix - - n - -  lmtp
anvil     unix - - n - 1  anvil
scache    unix - - n - 1  scache
sink      unix - n n - -  pipe
  flags=R user=nobody argv=/bin/cat
"""
SECOND_SETTINGS = """
compatibility_level = 3.6
mail_owner = postfix
setgid_group = postdrop
syslog_name = postfix-out
myhostname = out.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = all
inet_protocols = ipv4
queue_directory = /var/spool/postfix-out
data_directory = /var/lib/postfix-out
multi_instance_name = postfix-out
smtp_dns_support_level = disabled
alias_maps =
default_transport = smtp:[127.0.0.1]:2600
"""
DOVECOT = """
protocols =
auth_mechanisms = plain login
disable_plaintext_auth = no
log_path = syslog
passdb {
  driver = static
  args = password=right
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0666
  }
}
service stats {
  chroot =
}
ssl = no
"""


def run(*command: str, stdin: str = "", check: bool = True) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def start(*command: str) -> None:
    """A daemon keeps what it inherits, so it must not inherit a pipe that somebody reads to its end."""
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


class World:
    """Everything running; `log` is the file that syslog writes."""

    def __init__(self, long_ids: bool, bsd_stamps: bool) -> None:
        self.log = Path("/run/mail.log")
        self._bsd = bsd_stamps
        self._host = HOST.encode()
        _make_filesystem()
        run("ip", "link", "set", "lo", "up")
        for address in (OUTSIDE, DENIED):
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
        socket.sethostname(HOST)
        self._serve_syslog()
        self._configure(long_ids)
        for port, options in SINKS.items():
            subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", *options, f"127.0.0.1:{port}", "100"])
        subprocess.Popen([sys.executable, str(HERE / "milter.py")])
        start("dovecot", "-c", "/etc/dovecot-auth.conf")
        for folder in ("/etc/postfix", "/etc/postfix-out"):
            start("postfix", "-c", folder, "start")
        for port in (25, 587, 2525, 2526, 8899, 10026, *SINKS):
            _wait_for_port(port)

    def stop(self) -> None:
        for folder in ("/etc/postfix", "/etc/postfix-out"):
            run("postfix", "-c", folder, "stop", check=False)
        time.sleep(0.3)

    def queue(self) -> list[dict[str, object]]:
        """All messages of both instances."""
        text = run("postqueue", "-c", "/etc/postfix", "-j") + run("postqueue", "-c", "/etc/postfix-out", "-j")
        return [json.loads(line) for line in text.splitlines()]

    def settle(self) -> None:
        """Wait until nothing is under way: all that is left is deferred or on hold, and the log is quiet."""
        quiet_since = time.monotonic()
        size = -1
        while time.monotonic() - quiet_since < 1.2:
            time.sleep(0.1)
            busy = any(message["queue_name"] in ("incoming", "active", "maildrop") for message in self.queue())
            if busy or size != self.log.stat().st_size:
                quiet_since, size = time.monotonic(), self.log.stat().st_size

    def empty(self) -> None:
        for folder in ("/etc/postfix", "/etc/postfix-out"):
            for directory in ("deferred", "hold", "defer"):
                spool = run("postconf", "-c", folder, "-h", "queue_directory").strip()
                run("find", f"{spool}/{directory}", "-type", "f", "-delete")

    def _serve_syslog(self) -> None:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind("/dev/log")
        Path("/dev/log").chmod(0o666)
        self.log.touch()
        threading.Thread(target=self._write_log, args=(server,), daemon=True).start()

    def _write_log(self, server: socket.socket) -> None:
        with self.log.open("ab", buffering=0) as log:
            while True:
                text = re.sub(rb"^<\d+>(?:\w{3} [ \d]\d [\d:]{8} )?", b"", server.recv(65536)).rstrip(b"\n\0")
                now = datetime.now(UTC)
                stamp = now.strftime("%b %e %H:%M:%S") if self._bsd else now.isoformat(timespec="microseconds")
                log.write(b"%s %s %s\n" % (stamp.encode(), self._host, text.replace(b"\n", b"#012")))

    def _configure(self, long_ids: bool) -> None:
        etc = Path("/etc/postfix")
        ids = f"\nenable_long_queue_ids = {'yes' if long_ids else 'no'}\n"
        (etc / "main.cf").write_text(SETTINGS + ids)
        (etc / "master.cf").write_text(SERVICES)
        for name, lines in TABLES.items():
            (etc / name).write_text("\n".join(lines) + "\n")
        run("postalias", "lmdb:/etc/postfix/aliases")
        run(
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=mx1", "-keyout"],
            "/run/k",
            "-out",
            "/run/c",
        )
        (etc / "chain.pem").write_text(Path("/run/k").read_text() + Path("/run/c").read_text())
        Path("/etc/hosts").write_text("127.0.0.1 localhost\n")
        Path("/etc/resolv.conf").write_text("")
        Path("/etc/dovecot-auth.conf").write_text(DOVECOT)
        mail = Path("/var/mail/virtual")
        mail.mkdir(parents=True, exist_ok=True)
        shutil.chown(mail, 65534, 65534)
        second = Path("/etc/postfix-out")
        shutil.copytree(etc, second)
        (second / "main.cf").write_text(SECOND_SETTINGS + ids)
        services = SERVICES.split("\npickup ")[1]
        (second / "master.cf").write_text(f"10026 inet n - n - - smtpd\npickup {services}")
        for folder in ("/var/spool/postfix-out", "/var/lib/postfix-out"):
            Path(folder).mkdir(exist_ok=True)
        shutil.chown("/var/lib/postfix-out", "postfix")
        with (etc / "main.cf").open("a") as main:
            main.write("alternate_config_directories = /etc/postfix-out\n")
        for path in (etc / "main.cf", second / "main.cf"):
            os.utime(path, (time.time() - 100,) * 2)  # Postfix waits while main.cf is young


def _make_filesystem() -> None:
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in ("null", "zero", "random", "urandom", "tty")}
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for folder in ("etc", "var"):
        scratch = Path("/run") / folder
        (scratch / "work").mkdir(parents=True)
        (scratch / "upper").mkdir()
        options = f"lowerdir=/{folder},upperdir={scratch}/upper,workdir={scratch}/work"
        run("mount", "-t", "overlay", "-o", options, "overlay", f"/{folder}")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev")
    for name, held in devices.items():
        Path("/dev", name).touch()
        run("mount", "-c", "--bind", f"/proc/{os.getpid()}/fd/{held}", f"/dev/{name}")
    Path("/dev/fd").symlink_to("/proc/self/fd")


def _wait_for_port(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens at port {port}")
