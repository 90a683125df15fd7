"""What the templates of dovecot.conf show: ready strings, worked out from the spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.components.dovecot.tls import TlsSettings, tls_settings
from mailctl.components.tls_files import certificate_paths
from mailctl.spec.derive import hosts_mail, smtp_users
from mailctl.spec.model import Spec
from mailctl.target import Target

SUBSCRIBED_FOLDERS = ("Drafts", "Sent", "Junk", "Trash", "Archive")  # special uses of RFC 6154

DEFAULT_PROCESS_LIMIT = 100  # of Postfix, per service; postconf(5)
PORTS_WITH_QUOTA = 3  # 25, 587, 465
LOCAL_DELIVERY_AGENT = "/usr/lib/dovecot/dovecot-lda"  # Debian's place; services of Dovecot have no such PATH


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its key, for the server's own name or for `hostname` (SNI)."""

    certificate: str
    key: str
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class QuotaWarning:
    """A plugin setting `quota_warning`, `quota_warning2` ...: Dovecot runs the first whose percentage was crossed."""

    name: str
    percent: int


@dataclass(frozen=True, slots=True)
class MailView:
    """What a server with mailboxes has beyond logins: IMAP, LMTP, quota."""

    hostname: str
    postmaster: str
    pair: Pair
    tls: TlsSettings
    sni: tuple[Pair, ...]
    home: str
    folders: tuple[str, ...]
    warnings: tuple[QuotaWarning, ...]
    warning_script: str
    lda: str
    lmtp_socket: str
    quota_status_socket: str
    quota_status_processes: int

    @classmethod
    def from_spec(cls, spec: Spec, target: Target) -> MailView:
        certificate, key = certificate_paths(spec, target)
        return cls(
            hostname=spec.server.hostname,
            postmaster=f"postmaster@{spec.server.hostname}",
            pair=Pair(str(certificate), str(key)),
            tls=tls_settings(spec.tls.profile),
            sni=tuple(Pair(str(pair.certificate), str(pair.key), name) for name, pair in sorted(spec.tls.sni.items())),
            home=f"{target.mail_dir}/%d/%n",
            folders=SUBSCRIBED_FOLDERS,
            warnings=_warnings(spec),
            warning_script=str(warning_script(target)),
            lda=LOCAL_DELIVERY_AGENT,
            lmtp_socket=str(target.lmtp_socket),
            quota_status_socket=str(target.quota_status_socket),
            quota_status_processes=_smtpd_processes(spec),
        )


@dataclass(frozen=True, slots=True)
class DovecotConf:
    """dovecot.conf; without `mail` it only answers Postfix who may log in."""

    protocols: str
    users_file: str
    smtp_users_file: str
    has_smtp_users: bool
    auth_socket: str
    postfix_user: str
    vmail_user: str
    mail: MailView | None

    @classmethod
    def from_spec(cls, spec: Spec, target: Target) -> DovecotConf:
        stores_mail = hosts_mail(spec)
        return cls(
            protocols="imap lmtp" if stores_mail else "none",
            users_file=str(users_file(target)),
            smtp_users_file=str(smtp_users_file(target)),
            has_smtp_users=any(smtp_users(spec)),
            auth_socket=str(target.auth_socket),
            postfix_user=target.mail_owner,
            vmail_user=target.vmail_user,
            mail=MailView.from_spec(spec, target) if stores_mail else None,
        )


def conf_file(target: Target) -> PurePosixPath:
    return target.dovecot_dir / "dovecot.conf"


def users_file(target: Target) -> PurePosixPath:
    """Logins with a mailbox: for every protocol."""
    return target.dovecot_dir / "mailctl.users"


def smtp_users_file(target: Target) -> PurePosixPath:
    """Logins for submission alone."""
    return target.dovecot_dir / "mailctl.smtp-users"


def warning_script(target: Target) -> PurePosixPath:
    return target.dovecot_dir / "mailctl-quota-warning"


def _smtpd_processes(spec: Spec) -> int:
    """How many smtpd may ask at once: each keeps its connection, and would answer 451 to all if it got none."""
    limit = spec.postfix.main.get("default_process_limit", "")
    per_port = int(limit) if limit.isdecimal() else DEFAULT_PROCESS_LIMIT
    return per_port * PORTS_WITH_QUOTA


def _warnings(spec: Spec) -> tuple[QuotaWarning, ...]:
    percentages = sorted(set(spec.quota.warn), reverse=True)
    return tuple(
        QuotaWarning(f"quota_warning{number if number > 1 else ''}", percent)
        for number, percent in enumerate(percentages, start=1)
    )
