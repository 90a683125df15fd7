"""The closed sets of the spec: what a value of these kinds may be."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What the server is for."""

    FULL = "full"
    SEND_ONLY = "send-only"
    RELAY = "relay"
    BACKUP_MX = "backup-mx"


ROLES: Mapping[Role, str] = {
    Role.FULL: "receives, stores and sends mail",
    Role.SEND_ONLY: "only sends, for the programs of this machine",
    Role.RELAY: "passes mail on for trusted networks",
    Role.BACKUP_MX: "queues mail while another server is down",
}


class TlsProfile(StrEnum):
    """Mozilla's server-side TLS profiles, as far as mail allows."""

    MODERN = "modern"
    INTERMEDIATE = "intermediate"
    OLD = "old"


class OutboundTls(StrEnum):
    """The default level towards other servers; smtp_tls_security_level, postconf(5)."""

    MAY = "may"
    ENCRYPT = "encrypt"
    DANE = "dane"


class TlsLevel(StrEnum):
    """The level towards one destination; smtp_tls_policy_maps, postconf(5)."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"
    DANE = "dane"
    DANE_ONLY = "dane-only"
    VERIFY = "verify"
    SECURE = "secure"


class MailboxKind(StrEnum):
    """Whether a login has a mailbox of its own."""

    MAILBOX = "mailbox"
    SMTP_USER = "smtp-user"


class RelayPreset(StrEnum):
    """Mail services with ready settings; one data file each in spec/presets."""

    AMAZON_SES = "amazon-ses"
    MAILGUN = "mailgun"
    SENDGRID = "sendgrid"
    POSTMARK = "postmark"
    BREVO = "brevo"
    SMTP_COM = "smtp-com"
    GOOGLE_WORKSPACE = "google-workspace"
    MICROSOFT_365 = "microsoft-365"
    NAJVA = "najva"
    LIARA = "liara"


class DmarcPolicy(StrEnum):
    """What a domain asks receivers to do with mail that is not from it; RFC 7489 section 6.3."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class MtaSts(StrEnum):
    """How far senders are held to TLS by a policy on the web; RFC 8461 section 3.2."""

    NONE = "none"
    TESTING = "testing"
    ENFORCE = "enforce"
