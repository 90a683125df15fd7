"""What the template of main.cf shows: ready values, worked out from the spec; postconf(5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.components.postfix import routing
from mailctl.components.postfix.table import Table
from mailctl.components.postfix.tls import TlsServer, tls_server
from mailctl.components.tls_files import certificate_paths
from mailctl.spec.choices import Role
from mailctl.spec.derive import hosts_mail, signs, takes_logins, virtual_mailboxes
from mailctl.spec.model import Spec
from mailctl.target import Target

LOOPBACK = ("127.0.0.0/8", "[::1]/128")
# Mozilla's; Postfix 3.9 began to warn about the parameter and leaves the choice to OpenSSL.
CURVES = "X25519, prime256v1, secp384r1"
FIRST_WITH_CURVES_OF_OPENSSL = (3, 9)
FIRST_DOVECOT_WITH_SMTPUTF8 = (2, 4)


@dataclass(frozen=True, slots=True)
class Hosting:
    """A server that stores mail."""

    domains: tuple[str, ...]
    alias_maps: tuple[str, ...]
    mailbox_maps: tuple[str, ...]
    transport: str
    has_smtputf8: bool


@dataclass(frozen=True, slots=True)
class BackupMx:
    """A server that queues mail for another."""

    domains: tuple[str, ...]
    recipient_maps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submission:
    """Ports 587 and 465."""

    auth_socket: str
    sender_login_maps: tuple[str, ...]
    null_sender: tuple[str, ...]
    recipient_restrictions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outbound:
    """How mail leaves."""

    tls_level: str
    needs_dnssec: bool
    ca_file: str
    tls_policy_maps: tuple[str, ...]
    default_transport: str
    transport_maps: tuple[str, ...]
    sender_transport_maps: tuple[str, ...]
    password_maps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of the escape hatch, in Postfix's own syntax."""

    name: str
    value: str


QUEUE_TIMES = {"maximal_queue_lifetime": "5d", "bounce_queue_lifetime": "1d", "delay_warning_time": "4h"}
RATES = {
    "smtpd_client_connection_count_limit": "20",
    "smtpd_client_connection_rate_limit": "60",
    "smtpd_client_message_rate_limit": "100",
    "smtpd_client_auth_rate_limit": "10",
    "smtpd_client_new_tls_session_rate_limit": "60",
}
ADJUSTABLE = frozenset(QUEUE_TIMES | RATES)


@dataclass(frozen=True, slots=True)
class MainCf:
    """main.cf; a part that is None does not apply to the server's role."""

    table_directory: str
    hostname: str
    destinations: tuple[str, ...]
    networks: tuple[str, ...]
    message_size: int
    queue_times: tuple[Setting, ...]
    rates: tuple[Setting, ...]
    alias_maps: str
    only_trusted_clients: bool
    recipient_restrictions: tuple[str, ...]
    chain_files: tuple[str, ...]
    tls: TlsServer
    curves: str
    sni_maps: tuple[str, ...]
    milter: str
    hosting: Hosting | None
    backup_mx: BackupMx | None
    submission: Submission | None
    outbound: Outbound
    extra: tuple[Setting, ...]

    @classmethod
    def from_spec(cls, spec: Spec, target: Target, tables: Iterable[Table], directory: PurePosixPath) -> MainCf:
        maps = {table.name: table.reference(target) for table in tables}
        certificate, key = certificate_paths(spec, target)
        policy = (
            (f"check_policy_service unix:{_in_queue(target.quota_status_socket, target)}",)
            if _stores_mail(spec)
            else ()
        )
        return cls(
            table_directory=str(directory),
            hostname=literal(spec.server.hostname),
            destinations=_destinations(spec),
            networks=(*LOOPBACK, *map(literal, spec.server.trusted_networks)),
            message_size=spec.server.message_size,
            queue_times=_adjusted(spec, QUEUE_TIMES),
            rates=_adjusted(spec, RATES),
            alias_maps=maps["aliases"],
            only_trusted_clients=spec.server.role is Role.RELAY,
            recipient_restrictions=(*policy, "permit_mynetworks", "reject_non_fqdn_recipient"),
            chain_files=(literal(str(key)), literal(str(certificate))),
            tls=tls_server(spec.tls.profile),
            curves=CURVES if target.postfix_version < FIRST_WITH_CURVES_OF_OPENSSL else "",
            sni_maps=_present(maps, "sni"),
            milter=f"unix:{target.opendkim_socket}" if signs(spec) else "",
            hosting=_hosting(spec, target, maps) if hosts_mail(spec) else None,
            backup_mx=_backup_mx(spec, maps) if spec.server.role is Role.BACKUP_MX else None,
            submission=_submission(target, maps, policy) if takes_logins(spec) else None,
            outbound=_outbound(spec, target, maps),
            extra=tuple(
                Setting(name, value) for name, value in sorted(spec.postfix.main.items()) if name not in ADJUSTABLE
            ),
        )


def literal(text: str) -> str:
    """`text` as main.cf must spell it so that Postfix expands nothing in it."""
    return text.replace("$", "$$")


def _adjusted(spec: Spec, defaults: Mapping[str, str]) -> tuple[Setting, ...]:
    """Settings with a default of ours that the escape hatch may replace."""
    return tuple(Setting(name, spec.postfix.main.get(name, value)) for name, value in defaults.items())


def _stores_mail(spec: Spec) -> bool:
    return hosts_mail(spec) and any(True for _ in virtual_mailboxes(spec))


def _destinations(spec: Spec) -> tuple[str, ...]:
    """mydestination: a hosted domain is never local as well, for a domain belongs to one address class."""
    hostname = spec.server.hostname
    names = {
        hostname: "$myhostname",
        f"localhost.{hostname.partition('.')[2]}": "localhost.$mydomain",
        # Cron and friends write to root@localhost.
        "localhost": "localhost",
    }
    return tuple(text for name, text in names.items() if name not in spec.domains)


def _hosting(spec: Spec, target: Target, maps: dict[str, str]) -> Hosting:
    return Hosting(
        domains=_domains(spec),
        alias_maps=_present(maps, "virtual_alias", "virtual_alias_pcre"),
        mailbox_maps=_present(maps, "virtual_mailbox"),
        transport=f"lmtp:unix:{_in_queue(target.lmtp_socket, target)}",
        has_smtputf8=target.dovecot_version >= FIRST_DOVECOT_WITH_SMTPUTF8,
    )


def _backup_mx(spec: Spec, maps: dict[str, str]) -> BackupMx:
    return BackupMx(_domains(spec), _present(maps, "relay_recipients", "relay_recipients_pcre"))


def _submission(target: Target, maps: dict[str, str], policy: tuple[str, ...]) -> Submission:
    allowed = tuple(f"check_sasl_access {table}" for table in _present(maps, "null_sender"))
    return Submission(
        auth_socket=str(_in_queue(target.auth_socket, target)),
        sender_login_maps=_present(maps, "sender_login", "sender_login_pcre"),
        null_sender=(*allowed, "reject"),
        recipient_restrictions=("reject_non_fqdn_recipient", *policy, "permit_sasl_authenticated", "reject"),
    )


def _outbound(spec: Spec, target: Target, maps: dict[str, str]) -> Outbound:
    return Outbound(
        tls_level=spec.tls.outbound.value,
        needs_dnssec=routing.needs_dnssec(spec),
        ca_file=str(target.ca_file),
        tls_policy_maps=_present(maps, "tls_policy"),
        default_transport=literal(routing.default_route(spec)),
        transport_maps=_present(maps, "transport"),
        sender_transport_maps=_present(maps, "sender_transport"),
        password_maps=_present(maps, "relay_passwords"),
    )


def _domains(spec: Spec) -> tuple[str, ...]:
    return tuple(map(literal, sorted(spec.domains)))


def _present(maps: dict[str, str], *names: str) -> tuple[str, ...]:
    return tuple(maps[name] for name in names if name in maps)


def _in_queue(socket: PurePosixPath, target: Target) -> PurePosixPath:
    """Postfix resolves sockets against its queue directory."""
    return socket.relative_to(target.postfix_queue_dir)
