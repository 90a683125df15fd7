"""Hosted domains: logins, aliases, signing."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from mailctl.spec.choices import DmarcPolicy, MailboxKind
from mailctl.spec.model.record import Record, documented
from mailctl.spec.model.server import _refuse_tiny_quota
from mailctl.spec.secrets import NO_PASSWORD, PasswordHash
from mailctl.spec.value_types import AliasKey, AliasTarget, ByteSize, Duration, Flag, MailboxName, Number, Selector

SHORTEST_ROTATION = 30 * 86400  # seconds; a key outlives its use by a week or two


class Mailbox(Record):
    """A login: an address with a Maildir of its own, or an smtp-user that only sends."""

    password: PasswordHash = documented(
        "Its password hash: {hash: ...} or {file: ...} holding one; `mailctl hash` makes them. Needed for role full.",
        "Dovecot passwd-file",
        default_factory=lambda: NO_PASSWORD,
    )
    kind: MailboxKind = documented(
        "mailbox, or smtp-user: may send, has no mailbox.", "virtual_mailbox_maps", default=MailboxKind.MAILBOX
    )
    quota: ByteSize | None = documented(
        "Bytes of stored mail; 0 means no limit; quota.mailbox where not given.",
        "userdb_quota_rule in the passwd-file",
        default=None,
    )
    send_as: tuple[AliasTarget, ...] = documented(
        "Further addresses this login may send as: localparts of the same domain, or addresses of hosted domains.",
        "smtpd_sender_login_maps",
        default=(),
    )
    deliver_to: tuple[AliasTarget, ...] = documented(
        "Where mail to an smtp-user goes, its bounces included; the domain's postmaster where not given.",
        "virtual_alias_maps",
        default=(),
    )
    null_sender: Flag = documented(
        "Whether the login may send with the null sender, as programs that send bounces do.",
        "smtpd_sender_login_maps",
        default=False,
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind is MailboxKind.MAILBOX and self.deliver_to:
            raise ValueError("deliver_to is for an smtp-user; a mailbox delivers to itself")
        if self.quota is not None:
            if self.kind is MailboxKind.SMTP_USER:
                raise ValueError("an smtp-user stores no mail; remove its quota")
            _refuse_tiny_quota(self.quota)
        return self


class Dkim(Record):
    """How mail from one domain is signed."""

    selector: Selector = documented(
        "The selector of its first key, RFC 6376 section 3.1; `mailctl dkim rotate` lets others follow.",
        "KeyTable, SigningTable",
    )
    bits: Annotated[Number, Field(ge=2048, le=4096)] = documented(
        "Length of the RSA key, 2048 to 4096 bits; made once and kept.", "the key file", default=2048
    )
    rotate: Duration | None = documented(
        "How long a key signs before `mailctl dkim rotate --auto` makes the next one; only by hand where not given.",
        "nothing on the server",
        default=None,
    )

    @field_validator("rotate")
    @classmethod
    def _outlives_a_rotation(cls, rotate: int | None) -> int | None:
        if rotate is not None and rotate < SHORTEST_ROTATION:
            raise ValueError("a rotation takes two weeks; write 30d or more")
        return rotate


class DomainRecord(Record):
    """One hosted domain."""

    quota: ByteSize = documented(
        "Bytes of stored mail of all its mailboxes together; 0 means no limit.",
        "quota2_rule in the passwd-file",
        default=0,
    )
    catch_all: AliasTarget | None = documented(
        "Who gets mail to addresses that do not exist; null refuses them.", "virtual_alias_maps", default=None
    )
    dkim: Dkim | None = documented(
        "Signing of its mail; null leaves it unsigned.", "KeyTable, SigningTable", default=None
    )
    dmarc: DmarcPolicy | None = documented(
        "Its DMARC policy; dns.dmarc where not given.", "`mailctl dns records`: _dmarc", default=None
    )
    mailboxes: dict[MailboxName, Mailbox] = documented(
        "Logins by localpart.", "virtual_mailbox_maps, Dovecot passwd-file", default_factory=dict
    )
    aliases: dict[AliasKey, Annotated[tuple[AliasTarget, ...], Field(min_length=1)]] = documented(
        "Targets by localpart, or by regular expression between slashes; a target in another domain is a forward.",
        "virtual_alias_maps",
        default_factory=dict,
    )
