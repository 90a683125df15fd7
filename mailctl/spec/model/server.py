"""The machine itself: its name and role, certificates and TLS levels, defaults of quotas."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mailctl.spec.choices import ROLES, OutboundTls, Role, TlsLevel, TlsProfile
from mailctl.spec.model.record import Record, documented
from mailctl.spec.value_types import ByteSize, Domain, FilePath, Flag, Hostname, IpAddress, Network, Number

SMALLEST_MESSAGE_SIZE = 64 * 2**10
SMALLEST_QUOTA = 2**20


class CertificatePair(Record):
    """A certificate chain and its private key, both PEM."""

    certificate: FilePath = documented(
        "The certificate, then its intermediates, PEM.", "smtpd_tls_chain_files, ssl_cert"
    )
    key: FilePath = documented("The private key, PEM; readable by root only.", "smtpd_tls_chain_files, ssl_key")


class TlsPolicy(Record):
    """How mail to one destination is protected."""

    level: TlsLevel = documented("The TLS level for this destination.", "smtp_tls_policy_maps")
    match: tuple[Hostname, ...] = documented(
        "Names the certificate may carry, for levels verify and secure.", "match= in smtp_tls_policy_maps", default=()
    )

    @model_validator(mode="after")
    def _names_need_a_check(self) -> Self:
        if self.match and self.level not in (TlsLevel.VERIFY, TlsLevel.SECURE):
            raise ValueError(f"match has no effect at level {self.level}; use level verify or secure")
        return self


class Tls(Record):
    """Certificates and TLS levels, inbound and outbound."""

    certificate: FilePath | None = documented(
        "The server's certificate chain, PEM.", "smtpd_tls_chain_files, ssl_cert", default=None
    )
    key: FilePath | None = documented("Its private key, PEM.", "smtpd_tls_chain_files, ssl_key", default=None)
    self_signed: Flag = documented(
        "Make and keep a self-signed certificate (lab and first boot).",
        "smtpd_tls_chain_files, ssl_cert",
        default=False,
    )
    profile: TlsProfile = documented(
        "Which clients are served: modern is TLS 1.3 only, intermediate 1.2 and 1.3, old 1.0 and up.",
        "smtpd_tls_protocols, smtpd_tls_mandatory_protocols, ssl_min_protocol",
        default=TlsProfile.INTERMEDIATE,
    )
    outbound: OutboundTls = documented(
        "The TLS level towards other servers. dane needs a validating resolver on this machine.",
        "smtp_tls_security_level, smtp_dns_support_level",
        default=OutboundTls.MAY,
    )
    policies: dict[Domain, TlsPolicy] = documented(
        "TLS levels for single destinations.", "smtp_tls_policy_maps", default_factory=dict
    )
    sni: dict[Hostname, CertificatePair] = documented(
        "Certificates for further names of this server.", "tls_server_sni_maps, local_name blocks", default_factory=dict
    )

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        if self.self_signed and (self.certificate or self.key):
            raise ValueError("self_signed makes its own certificate; remove certificate and key, or self_signed")
        if not self.self_signed and not (self.certificate and self.key):
            raise ValueError("certificate and key are both needed, or self_signed: true")
        return self


class Server(Record):
    """The machine itself."""

    hostname: Hostname = documented("Its fully qualified name; the PTR should match.", "myhostname")
    role: Role = documented(
        "What it is for: " + "; ".join(f"{role} {meaning}" for role, meaning in ROLES.items()) + ".",
        "which services run, and on which ports",
        default=Role.FULL,
    )
    trusted_networks: tuple[Network, ...] = documented(
        "Networks that may send without a login, added to loopback; never the subnet as such.", "mynetworks", default=()
    )
    addresses: tuple[IpAddress, ...] = documented(
        "The addresses the world sees it at, for DNS records; its mail leaves from them.",
        "nothing on the server; `mailctl dns records`: A, AAAA, PTR, SPF",
        default=(),
    )
    # The limit stands in the type: as an option of the field, pydantic would drop it for a type with its own validator.
    message_size: Annotated[ByteSize, Field(ge=SMALLEST_MESSAGE_SIZE)] = documented(
        "The largest message accepted.", "message_size_limit", default=50 * 2**20
    )


Percent = Annotated[Number, Field(ge=1, le=99)]


class Quota(Record):
    """Defaults for every mailbox."""

    mailbox: ByteSize = documented(
        "Bytes of stored mail per mailbox; 0 means no limit.", "userdb_quota_rule in the passwd-file", default=0
    )
    warn: tuple[Percent, ...] = documented(
        "Percentages of use at which the owner gets a warning.", "quota_warning", default=(80, 95)
    )

    @model_validator(mode="after")
    def _holds_a_message(self) -> Self:
        _refuse_tiny_quota(self.mailbox)
        return self


def _refuse_tiny_quota(quota: int) -> None:
    if 0 < quota < SMALLEST_QUOTA:
        raise ValueError("a quota below 1M holds no message; write 0 for no limit")
