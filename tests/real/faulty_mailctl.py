"""mailctl with a change in what it renders, mostly a fault that no checker of files knows.

faulty_mailctl.py CHANGE ARGUMENT...
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from mailctl.components import registry
from mailctl.entry import main
from mailctl.spec.model import Spec
from mailctl.target import Target
from mailctl.tree import RenderedFile, Tree

MAIN_CF, MASTER_CF = PurePosixPath("/etc/postfix/main.cf"), PurePosixPath("/etc/postfix/master.cf")
DOVECOT_CONF, TRUSTED_HOSTS = PurePosixPath("/etc/dovecot/dovecot.conf"), PurePosixPath("/etc/opendkim/TrustedHosts")
Fault = Callable[[RenderedFile], RenderedFile]


def with_line(line: str) -> Fault:
    """The last of two parameters holds, as in any file of Postfix."""
    return lambda file: replace(file, content=_without(file.content, line) + line.encode() + b"\n")


def with_text(old: str, new: str) -> Fault:
    def change(file: RenderedFile) -> RenderedFile:
        assert old.encode() in file.content, f"{file.path} does not hold {old!r}"
        return replace(file, content=file.content.replace(old.encode(), new.encode()))

    return change


def with_mode(mode: int) -> Fault:
    return lambda file: replace(file, mode=mode)


def _without(content: bytes, line: str) -> bytes:
    """`content` without the parameter that `line` sets; postconf warns of one that is set twice."""
    kept, is_dropped = [], False
    for each in content.decode().splitlines(keepends=True):
        is_dropped = each.split("=")[0].strip() == line.split("=")[0].strip() or (is_dropped and each[:1] in " \t")
        if not is_dropped:
            kept.append(each)
    return "".join(kept).encode()


FAULTS: dict[str, tuple[PurePosixPath, Fault]] = {
    "open relay": (MAIN_CF, with_line("mynetworks = 0.0.0.0/0, [::]/0")),
    "open relay for our senders": (
        MAIN_CF,
        with_line("smtpd_relay_restrictions = check_sender_access inline:{example.org=OK}, reject_unauth_destination"),
    ),
    "unknown restriction": (MAIN_CF, with_line("smtpd_recipient_restrictions = reject_unknown_nonsense")),
    "missing certificate": (MAIN_CF, with_line("smtpd_tls_chain_files = /etc/ssl/nowhere.pem")),
    "dead milter socket": (MAIN_CF, with_line("smtpd_milters = unix:/nowhere.sock")),
    "no milter": (MAIN_CF, with_line("smtpd_milters =")),
    "no logins": (MAIN_CF, with_line("smtpd_sasl_path = private/nowhere")),
    "mail goes nowhere": (MAIN_CF, with_line("virtual_transport = discard")),
    "anybody is anybody": (MAIN_CF, with_line("mailctl_submission_sender_restrictions = permit")),
    "submission in clear": (MASTER_CF, with_text("smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=may")),
    "missing table": (MAIN_CF, with_line("virtual_alias_maps = cdb:/etc/postfix/nowhere")),
    "bad number": (MAIN_CF, with_line("smtpd_hard_error_limit = many")),
    "bad number of the queue": (MAIN_CF, with_line("qmgr_message_recipient_limit = many")),
    "bad level": (MAIN_CF, with_line("smtp_tls_security_level = sometimes")),
    "no such daemon": (MASTER_CF, with_text("  qmgr\n", "  qmgrr\n")),
    "group may write": (MAIN_CF, with_mode(0o664)),
    "dovecot without certificate": (DOVECOT_CONF, with_text("ssl_cert = <", "ssl_cert = </nowhere")),
    "a signer for everybody": (TRUSTED_HOSTS, with_text("127.0.0.0/8", "0.0.0.0/0\n127.0.0.0/8")),
}

# The templates have one value for each server, so no spec asks for this.
RESTART = "ipv4 only"
CHANGES = {**FAULTS, RESTART: (MAIN_CF, with_line("inet_protocols = ipv4"))}


def inject(name: str) -> None:
    path, fault = CHANGES[name]
    render = registry.render_tree

    def render_faulty(spec: Spec, target: Target) -> Tree:
        tree = render(spec, target)
        return Tree({**tree.files, path: fault(tree.files[path])}, tree.directories)

    registry.render_tree = render_faulty


if __name__ == "__main__":
    inject(sys.argv.pop(1))
    main()
