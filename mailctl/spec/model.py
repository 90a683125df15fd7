"""The spec, version 1: what an administrator may write, typed by pydantic.

Descriptions and `renders` notes here are what `mailctl explain` and the JSON Schema show.
A rule about one record is a validator here; a rule across records is in rules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from mailctl.errors import Origin
from mailctl.spec.choices import ROLES
from mailctl.spec.choices import DmarcPolicy as DmarcPolicy
from mailctl.spec.choices import MailboxKind as MailboxKind
from mailctl.spec.choices import MtaSts as MtaSts
from mailctl.spec.choices import OutboundTls as OutboundTls
from mailctl.spec.choices import RelayPreset as RelayPreset
from mailctl.spec.choices import Role as Role
from mailctl.spec.choices import TlsLevel as TlsLevel
from mailctl.spec.choices import TlsProfile as TlsProfile
from mailctl.spec.fleet import FleetMember
from mailctl.spec.origins import NO_ORIGINS, Origins
from mailctl.spec.secrets import NO_PASSWORD, PasswordHash, PlainSecret
from mailctl.spec.value_types import (
    Address,
    AliasKey,
    AliasTarget,
    ByteSize,
    DnsName,
    Domain,
    Duration,
    FilePath,
    Flag,
    Host,
    Hostname,
    IpAddress,
    Line,
    Localpart,
    MailboxName,
    Name,
    Network,
    NextHopText,
    Number,
    Parameter,
    Port,
    RecipientPattern,
    Selector,
    SenderPattern,
    Setting,
)
from mailctl.spec.values import NextHop

SHORTEST_ROTATION = 30 * 86400  # seconds; a key outlives its use by a week or two
SMALLEST_QUOTA = 2**20
SMALLEST_MESSAGE_SIZE = 64 * 2**10


DIRECT: Literal["direct"] = "direct"


class Record(BaseModel):
    """Frozen; unknown keys are refused. Built when the first spec is read, which many commands never do."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def documented(description: str, renders: str = "", **options: Any) -> Any:
    """A field with its meaning and what it renders to; `mailctl explain` prints both."""
    return Field(description=description, json_schema_extra={"renders": renders} if renders else None, **options)


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


def _refuse_tiny_quota(quota: int) -> None:
    if 0 < quota < SMALLEST_QUOTA:
        raise ValueError("a quota below 1M holds no message; write 0 for no limit")


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


class Relay(Record):
    """A server that passes our mail on."""

    preset: RelayPreset | None = documented("A known mail service: gives hosts and TLS level.", default=None)
    region: Name | None = documented("The region, for presets that have them.", default=None)
    hosts: tuple[NextHopText, ...] = documented(
        "Next hops in failover order, as '[host]:port'; without brackets MX records are looked up.",
        "transport_maps, sender_dependent_default_transport_maps, default_transport",
        default=(),
    )
    tls: TlsLevel | None = documented(
        "The TLS level towards it; encrypt where a password is sent and nothing else is said.",
        "smtp_tls_policy_maps",
        default=None,
    )
    username: Line | None = documented("The login there.", "smtp_sasl_password_maps", default=None)
    password: PlainSecret | None = documented(
        "Its password: {file: ...} or {env: ...}.", "smtp_sasl_password_maps", default=None
    )
    spf_include: DnsName | None = documented(
        "What the SPF record of a domain must include for it; its preset's where not given.",
        "`mailctl dns records`: SPF",
        default=None,
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.preset and not self.hosts:
            raise ValueError("hosts are needed, or a preset")
        if self.region and not self.preset:
            raise ValueError("region belongs to a preset")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password and self.tls in (TlsLevel.NONE, TlsLevel.MAY):
            raise ValueError(f"tls: {self.tls} could send the password in the clear; use encrypt, verify or secure")
        if self.username is not None and ":" in self.username:
            raise ValueError("a username cannot hold a colon: Postfix splits there")
        return self


class InternalRelay(Record):
    """A next hop named in a route itself: a machine of your own, without credentials."""

    host: Host = documented("Host name or IP address; no MX look-up.", "transport_maps")
    port: Port = documented("TCP port.", "transport_maps", default=25)
    tls: TlsLevel | None = documented("The TLS level towards it.", "smtp_tls_policy_maps", default=None)

    @property
    def next_hop(self) -> NextHop:
        return NextHop(self.host, self.port)


def _via_form(value: Any) -> str:
    """Which of its forms `via` was written in, so that a message is about that form only."""
    if isinstance(value, Mapping | InternalRelay):
        return "<host>"
    return "<list>" if isinstance(value, list | tuple) else "<name>"


Via = Annotated[
    Annotated[Name, Tag("<name>")]
    | Annotated[InternalRelay, Tag("<host>")]
    | Annotated[tuple[Name, ...], Field(min_length=1), Tag("<list>")],
    Discriminator(_via_form),
]


class Route(Record):
    """Which mail leaves through which relay. `to` wins over `from`; one without both is the default."""

    to: Annotated[tuple[RecipientPattern, ...], Field(min_length=1)] = documented(
        "Recipients: addresses, domains, .domain for subdomains.", "transport_maps", default=()
    )
    from_: SenderPattern | None = documented(
        "An envelope sender, or @domain.", "sender_dependent_default_transport_maps", default=None, alias="from"
    )
    via: Via = documented(
        "direct, a relay, a list of relays in failover order, or {host: ...}.", "transport_maps, default_transport"
    )

    @property
    def relays(self) -> tuple[str, ...]:
        """Names of the relays in failover order; empty for direct and internal routes."""
        if isinstance(self.via, InternalRelay) or self.via == DIRECT:
            return ()
        return (self.via,) if isinstance(self.via, str) else self.via


class PostfixSettings(Record):
    """The escape hatch: settings the spec does not model, shown in the plan, refused where managed already."""

    main: dict[Parameter, Setting] = documented(
        'Parameters of main.cf; "" sets one to nothing.', "main.cf", default_factory=dict
    )
    master: dict[Line, Line] = documented(
        "Services of master.cf: 'name/type' to the rest of the line, as in `postconf -M`.",
        "master.cf",
        default_factory=dict,
    )


class Dns(Record):
    """What the DNS says besides what follows from the rest of the spec; nothing on the server depends on it."""

    dmarc: DmarcPolicy = documented(
        "The DMARC policy of domains that name none of their own. Start with none, read the reports, go on to reject.",
        "`mailctl dns records`: _dmarc",
        default=DmarcPolicy.NONE,
    )
    reports: Address | None = documented(
        "Who gets reports on DMARC and TLS; the postmaster of each domain where not given.",
        "`mailctl dns records`: rua of _dmarc and _smtp._tls",
        default=None,
    )
    mta_sts: MtaSts = documented(
        "Whether senders must use TLS with a certificate they trust. Needs a web server for mta-sts.DOMAIN.",
        "`mailctl dns records`: _mta-sts, and the policy to serve",
        default=MtaSts.NONE,
    )
    blocklists: tuple[Domain, ...] = documented(
        "Lists of senders that `mailctl dns check` looks for this server in; [] for none.",
        "nothing on the server",
        default=("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com"),
    )


class Spec(Record):
    """One mail server, or a fleet of them."""

    version: Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"], "title": "1"})] = documented(
        "The version of this format."
    )
    server: Server = documented("The machine itself.")
    tls: Tls = documented("Certificates and TLS levels.")
    quota: Quota = documented("Defaults for every mailbox.", default_factory=Quota)
    domains: dict[Domain, DomainRecord] = documented(
        "Hosted domains.", "virtual_mailbox_domains or relay_domains", default_factory=dict
    )
    local_aliases: dict[Localpart, Address] = documented(
        "Where mail to system users goes.", "alias_maps, aliases(5)", default_factory=dict
    )
    relays: dict[Name, Relay] = documented("Servers that pass our mail on.", default_factory=dict)
    routes: tuple[Route, ...] = documented(
        "Which mail leaves how; a list of relays is a failover order.", "transport_maps", default=()
    )
    dns: Dns = documented("What the DNS says besides.", default_factory=Dns)
    postfix: PostfixSettings = documented(
        "The escape hatch for what the spec does not model.", default_factory=PostfixSettings
    )
    hosts: dict[Name, dict[str, Any]] = documented(
        "Overrides per host of a fleet: the same keys as above, merged over them.", default_factory=dict
    )
    include: tuple[Line, ...] = documented("Further files: YAML by pattern, or CSV with mailboxes.", default=())

    _origins: Origins = PrivateAttr(default=NO_ORIGINS)
    _member: FleetMember = PrivateAttr(default=FleetMember())

    def origin(self, *path: str | int) -> Origin:
        """Where the value at `path` (keys and list positions from the top) was written."""
        return self._origins.find(path)

    @property
    def origins(self) -> Origins:
        return self._origins

    @property
    def member(self) -> FleetMember:
        """Which host of a fleet this is the spec of."""
        return self._member

    def with_origins(self, origins: Origins, member: FleetMember) -> Self:
        """The same spec, knowing where its values were written and for which host of a fleet they hold."""
        self._origins, self._member = origins, member
        return self
