"""A publication as text: a table to read, a zone file, JSON, YAML for octoDNS."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from mailctl.dns.record import Record
from mailctl.dns.records import Publication
from mailctl.dns.suffix import organisational_domain


def render_table(found: Publication) -> str:
    """For people: every record with its purpose, then policies and notes."""
    width = max((len(record.name) for record in found.records), default=0)
    lines = []
    for domain, records in _by_domain(found.records):
        lines.append(f"{domain}")
        for record in records:
            lines += [f"  {record.name:<{width}}  {record.rdtype:<4}  {record.value}", f"      {record.purpose}"]
    for policy in found.policies:
        lines += ["", f"serve at {policy.url}", *(f"  {line}" for line in policy.content.splitlines())]
    if found.notes:
        lines += ["", *_note_lines(found)]
    return "\n".join(lines)


def render_zone(found: Publication) -> str:
    """A zone file, RFC 1035 section 5: names in full, so that it can be included at any origin."""
    lines = []
    for domain, records in _by_domain(found.records):
        lines.append(f"; {domain}")
        # The zone of the addresses belongs to whoever owns the network.
        lines += [f"; {each.zone_line}" if each.rdtype == "PTR" else each.zone_line for each in records]
    for policy in found.policies:
        lines += [f"; serve at {policy.url}", *(f";   {line}" for line in policy.content.splitlines())]
    lines += [f"; {line}" for line in _note_lines(found)]
    return "\n".join(lines)


def publication_json(found: Publication) -> dict[str, Any]:
    """The keys of `--format json`; `rdata` is the value as a zone file has it."""
    return {
        "records": [
            {
                "domain": each.domain,
                "name": each.name,
                "type": each.rdtype,
                "ttl": each.ttl,
                "value": each.value,
                "rdata": each.rdata,
                "purpose": each.purpose,
            }
            for each in found.records
        ],
        "policies": [{"domain": each.domain, "url": each.url, "content": each.content} for each in found.policies],
        "notes": [{"domain": each.domain, "text": each.text} for each in found.notes],
    }


def render_octodns(found: Publication) -> str:
    """One YAML document per zone, for octoDNS's YamlProvider: the file `config/ZONE.yaml`."""
    zones: dict[str, list[Record]] = defaultdict(list)
    for record in found.records:
        if record.rdtype != "PTR":
            zones[organisational_domain(record.name)].append(record)
    return "\n".join(line for zone, records in zones.items() for line in _octodns_zone(zone, records))


def _octodns_zone(zone: str, records: Iterable[Record]) -> Iterator[str]:
    yield "---"
    yield f"# {zone}.yaml"
    by_name: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        by_name[record.name.removesuffix(zone).removesuffix(".")][record.rdtype].append(record)
    # octoDNS refuses names and keys out of order.
    for name, by_type in sorted(by_name.items(), key=lambda item: _natural(item[0])):
        yield f"{json.dumps(name)}:"
        for rdtype, same in sorted(by_type.items()):
            yield f"- ttl: {same[0].ttl}"
            yield f"  type: {rdtype}"
            yield "  values:"
            # JSON is YAML: a quoted scalar or a mapping on one line, whatever it holds.
            yield from (f"  - {json.dumps(OCTODNS_VALUES[rdtype](record.value), sort_keys=True)}" for record in same)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts `s9` before `s10`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _octodns_mx(value: str) -> Mapping[str, Any]:
    preference, exchange = value.split()
    return {"preference": int(preference), "exchange": _with_dot(exchange)}


def _octodns_srv(value: str) -> Mapping[str, Any]:
    priority, weight, port, target = value.split()
    return {"priority": int(priority), "weight": int(weight), "port": int(port), "target": _with_dot(target)}


def _octodns_tlsa(value: str) -> Mapping[str, Any]:
    usage, selector, matching, data = value.split()
    return {
        "certificate_usage": int(usage),
        "selector": int(selector),
        "matching_type": int(matching),
        "certificate_association_data": data,
    }


def _with_dot(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


OCTODNS_VALUES: Mapping[str, Callable[[str], Any]] = {
    "A": str,
    "AAAA": str,
    "MX": _octodns_mx,
    "SRV": _octodns_srv,
    "TLSA": _octodns_tlsa,
    "TXT": lambda value: value.replace(";", "\\;"),
}


def _by_domain(records: Iterable[Record]) -> Iterator[tuple[str, Iterator[Record]]]:
    return groupby(records, key=lambda record: record.domain)


def _note_lines(found: Publication) -> list[str]:
    """Every note once, with all domains it is about."""
    about: dict[str, list[str]] = defaultdict(list)
    for note in found.notes:
        about[note.text] += [note.domain] if note.domain else []
    return [f"note: {', '.join(domains)}: {text}" if domains else f"note: {text}" for text, domains in about.items()]
