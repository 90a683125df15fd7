"""The DNS records the world sees of the lab's server: those its owner would publish."""

from __future__ import annotations

from collections.abc import Mapping

from mailctl.dkim.keys import public_key_record, quote_strings, signing_keys
from mailctl.host import Host
from mailctl.sandbox.network import SERVER_IPV4, SERVER_IPV6
from mailctl.spec.derive import hosts_mail
from mailctl.spec.model import Spec
from mailctl.target import Target

Zone = dict[str, dict[str, list[str]]]


def server_zone(spec: Spec, key_records: Mapping[str, str]) -> Zone:
    """A, AAAA, MX and SPF of the host name and every hosted domain, and the DKIM records given by name."""
    zone: Zone = {
        spec.server.hostname: {"A": [SERVER_IPV4], "AAAA": [SERVER_IPV6], "TXT": ['"v=spf1 a -all"']},
    }
    for domain in spec.domains:
        # The host name may itself be a hosted domain.
        records = zone.setdefault(domain, {})
        records |= {"MX": _mail_exchangers(spec, domain), "TXT": ['"v=spf1 mx -all"']}
    return zone | {name: {"TXT": [quote_strings(record)]} for name, record in key_records.items()}


def _mail_exchangers(spec: Spec, domain: str) -> list[str]:
    if hosts_mail(spec):
        return [f"10 {spec.server.hostname}."]
    # Another server holds the mailboxes: a host of the world.
    return [f"10 mx.{domain}.", f"20 {spec.server.hostname}."]


def read_key_records(host: Host, spec: Spec, target: Target) -> dict[str, str]:
    """The public key record of every DKIM key that `host` has, by its DNS name."""
    keys = signing_keys(spec, target)
    return {key.record_name: public_key_record(host, key) for key in keys if host.stat(key.path)}
