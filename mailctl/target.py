"""Where things are on the machine that carries the mail, and which versions run there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

# Where mail services log, by way of syslog; Debian's place first.
MAIL_LOGS = (PurePosixPath("/var/log/mail.log"), PurePosixPath("/var/log/maillog"))
MAIL_LOG = MAIL_LOGS[0]


class TableType(StrEnum):
    """Indexed lookup table types, best first: cdb is rebuilt aside and renamed, hash in place."""

    CDB = "cdb"
    LMDB = "lmdb"
    HASH = "hash"


Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """Paths, owners, sockets and service versions. Contents of rendered files depend on nothing else but the spec."""

    postfix_version: Version = (3, 7)
    dovecot_version: Version = (2, 3)
    opendkim_version: Version = (2, 11)
    table_type: TableType = TableType.CDB

    postfix_dir: PurePosixPath = PurePosixPath("/etc/postfix")
    postfix_queue_dir: PurePosixPath = PurePosixPath("/var/spool/postfix")
    dovecot_dir: PurePosixPath = PurePosixPath("/etc/dovecot")
    opendkim_conf: PurePosixPath = PurePosixPath("/etc/opendkim.conf")
    opendkim_dir: PurePosixPath = PurePosixPath("/etc/opendkim")
    dkim_key_dir: PurePosixPath = PurePosixPath("/etc/dkimkeys")
    opendkim_socket: PurePosixPath = PurePosixPath("/var/spool/postfix/opendkim/opendkim.sock")
    mail_dir: PurePosixPath = PurePosixPath("/var/vmail")
    state_dir: PurePosixPath = PurePosixPath("/var/lib/mailctl")
    ca_file: PurePosixPath = PurePosixPath("/etc/ssl/certs/ca-certificates.crt")

    mail_owner: str = "postfix"
    vmail_user: str = "vmail"
    opendkim_user: str = "opendkim"
    dovecot_user: str = "dovecot"

    @property
    def generations_dir(self) -> PurePosixPath:
        """Holds one immutable table directory per generation, named by the digest of its tables."""
        return self.state_dir / "generations"

    @property
    def auth_socket(self) -> PurePosixPath:
        """Where Dovecot answers SASL requests of Postfix."""
        return self.postfix_queue_dir / "private/auth"

    @property
    def lmtp_socket(self) -> PurePosixPath:
        """Where Dovecot takes mail for virtual mailboxes."""
        return self.postfix_queue_dir / "private/dovecot-lmtp"

    @property
    def quota_status_socket(self) -> PurePosixPath:
        """Where Dovecot answers policy requests: a mailbox that is full takes no mail."""
        return self.postfix_queue_dir / "private/quota-status"

    @property
    def domain_quota_dir(self) -> PurePosixPath:
        """Holds one counter per domain with a quota: what all its mailboxes store together."""
        return self.state_dir / "domain-quota"

    @property
    def self_signed_dir(self) -> PurePosixPath:
        """Holds the certificate and key mailctl makes for `tls.self_signed`; outside generations, never remade."""
        return self.state_dir / "tls"


DEBIAN_12 = Target()
