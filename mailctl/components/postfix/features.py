"""What a role means for Postfix: which services run, which milters and policies are asked."""

from __future__ import annotations

from mailctl.spec.derive import hosts_mail, logins, virtual_mailboxes
from mailctl.spec.model import Role, Spec

TAKES_LOGINS = (Role.FULL, Role.SEND_ONLY)


def takes_logins(spec: Spec) -> bool:
    """Whether ports 587 and 465 are open: to whom, says the list of logins."""
    return spec.server.role in TAKES_LOGINS and any(True for _ in logins(spec))


def signs(spec: Spec) -> bool:
    """Whether mail passes the DKIM signer; what a backup MX passes on was signed by its sender."""
    return spec.server.role is not Role.BACKUP_MX and any(domain.dkim for domain in spec.domains.values())


def asks_quota(spec: Spec) -> bool:
    """Whether Dovecot is asked at RCPT if a mailbox is full."""
    return hosts_mail(spec) and any(True for _ in virtual_mailboxes(spec))
