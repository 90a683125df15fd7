"""The whole spec, and the small records it holds itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import PrivateAttr, WithJsonSchema

from mailctl.errors import Origin
from mailctl.spec.choices import DmarcPolicy, MtaSts
from mailctl.spec.fleet import FleetMember
from mailctl.spec.model.domains import DomainRecord
from mailctl.spec.model.record import Record, documented
from mailctl.spec.model.relays import Relay, Route
from mailctl.spec.model.server import Quota, Server, Tls
from mailctl.spec.origins import NO_ORIGINS, Origins
from mailctl.spec.value_types import Address, Domain, Line, Localpart, Name, Parameter, Setting


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
