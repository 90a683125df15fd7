"""The DNS records the world sees of the lab's server: those its owner would publish."""

from __future__ import annotations

from collections.abc import Mapping

from mailctl.dkim.keys import quote_strings
from mailctl.dkim.states import read_states, record_to_publish
from mailctl.host import Host
from mailctl.sandbox.network import OUTSIDE_IPV4, SERVER_IPV4, SERVER_IPV6
from mailctl.spec.derive import hosts_mail
from mailctl.spec.model import Spec
from mailctl.target import Target

NAMESERVER = "ns1.world.example"

Zone = dict[str, dict[str, list[str]]]


def server_zone(spec: Spec, key_records: Mapping[str, str]) -> Zone:
    """A, AAAA, MX, NS and SPF of the host name and every hosted domain, and the DKIM records given by name."""
    zone: Zone = {
        NAMESERVER: {"A": [OUTSIDE_IPV4]},
        spec.server.hostname: {"A": [SERVER_IPV4], "AAAA": [SERVER_IPV6], "TXT": ['"v=spf1 a -all"']},
    }
    for domain in spec.domains:
        # The host name may itself be a hosted domain.
        records = zone.setdefault(domain, {})
        exchangers = _mail_exchangers(spec, domain)
        records |= {"MX": exchangers, "NS": [f"{NAMESERVER}."], "TXT": ['"v=spf1 mx -all"']}
    return zone | {name: {"TXT": [quote_strings(record)]} for name, record in key_records.items()}


def _mail_exchangers(spec: Spec, domain: str) -> list[str]:
    if hosts_mail(spec):
        return [f"10 {spec.server.hostname}."]
    # Another server holds the mailboxes: a host of the world.
    return [f"10 mx.{domain}.", f"20 {spec.server.hostname}."]


def read_key_records(host: Host, spec: Spec, target: Target) -> dict[str, str]:
    """What is to be published for every DKIM key of the spec's domains, in any stage, by its DNS name."""
    states = (state for domain in spec.domains for state in read_states(host, target, domain))
    records = {state.key.record_name: record_to_publish(host, state) for state in states}
    return {name: record for name, record in records.items() if record is not None}
