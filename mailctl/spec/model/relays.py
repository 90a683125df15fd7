"""Relays, and the routes that lead mail to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mailctl.spec.choices import RelayPreset, TlsLevel
from mailctl.spec.model.record import Record, documented
from mailctl.spec.secrets import PlainSecret
from mailctl.spec.value_types import DnsName, Host, Line, Name, NextHopText, Port, RecipientPattern, SenderPattern
from mailctl.spec.values.networks import NextHop

DIRECT: Literal["direct"] = "direct"


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
