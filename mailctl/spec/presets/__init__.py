"""Mail services with ready settings: one data file each, so that a new one needs no code."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mailctl.spec.choices import RelayPreset, TlsLevel
from mailctl.spec.model import Relay
from mailctl.spec.nodes import read_source
from mailctl.spec.source import read_yaml
from mailctl.spec.values.networks import NextHop, parse_next_hop

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Preset:
    """What a mail service publishes about itself; `source` is the page it was read from.

    A service has `hosts`, or hosts per region; one that publishes neither has none, and the spec must name them.
    """

    name: RelayPreset
    title: str
    hosts: tuple[NextHop, ...]
    hosts_by_region: Mapping[str, tuple[NextHop, ...]]
    tls: TlsLevel
    spf_include: str | None
    notes: tuple[str, ...]
    source: str

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self.hosts_by_region)

    def next_hops(self, region: str | None = None) -> tuple[NextHop, ...]:
        """Where mail is handed over, in failover order.

        Raises:
            ValueError: the region is missing, unknown or not asked for; or the service publishes no host.
        """
        if self.hosts_by_region:
            if region is None or region not in self.hosts_by_region:
                found = f"has no region {region!r}" if region else "needs a region"
                raise ValueError(f"{self.name} {found}; write one of {', '.join(self.regions)}")
            return self.hosts_by_region[region]
        if region:
            raise ValueError(f"{self.name} has no regions; remove {region!r}")
        if not self.hosts:
            raise ValueError(f"{self.name} publishes no SMTP host; copy it from your account into hosts")
        return self.hosts


@functools.cache
def load_preset(name: RelayPreset) -> Preset:
    """The preset `name`; ValueError means the data file itself is wrong, which a test rules out."""
    data, problems = read_yaml(read_source(FOLDER / f"{name.value}.yml"))
    if data is None or problems:
        raise ValueError(f"the preset {name.value} is not valid: {problems}")
    return Preset(
        name=name,
        title=data["title"],
        hosts=_next_hops(data.get("hosts", ())),
        hosts_by_region=MappingProxyType(
            {region: _next_hops(hosts) for region, hosts in data.get("regions", {}).items()}
        ),
        tls=TlsLevel(data["tls"]),
        spf_include=data.get("spf_include"),
        notes=tuple(data["notes"]),
        source=data["source"],
    )


def relay_next_hops(relay: Relay) -> tuple[NextHop, ...]:
    """Next hops of a relay in failover order: what the spec names, else its preset's.

    Raises:
        ValueError: as `Preset.next_hops`.
    """
    if relay.hosts or relay.preset is None:
        return relay.hosts
    return load_preset(relay.preset).next_hops(relay.region)


def _next_hops(texts: Sequence[str]) -> tuple[NextHop, ...]:
    return tuple(parse_next_hop(text) for text in texts)
