"""The DNS of every domain and server: what `mailctl dns check` finds, each with the record to publish."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.tls_files import certificate_paths
from mailctl.dns.check import check_domains
from mailctl.dns.facts import read_facts
from mailctl.dns.resolve import Resolver
from mailctl.dns.verdict import Level
from mailctl.dns.verdict import Verdict as DnsVerdict
from mailctl.doctor.model import Finding, Patient, Verdict, ok
from mailctl.spec.model import Spec

SECONDS = 9.0
# Nobody could tell: that is for a person to look at, and no proof of a fault.
VERDICTS = {Level.FAIL: Verdict.FAIL, Level.WARN: Verdict.WARN, Level.UNKNOWN: Verdict.WARN}


def look(patient: Patient, spec: Spec) -> Iterator[Finding]:
    resolver = Resolver.of_system(within=SECONDS)
    certificate = certificate_paths(spec, patient.target).certificate
    facts = read_facts(patient.host, spec, patient.target, certificate, patient.servers)
    verdicts = sorted(check_domains(spec, facts, resolver), key=lambda each: list(Level).index(each.level))
    yield from map(_finding, verdicts)
    if not verdicts:
        yield ok(
            "dns", f"domains: {len(spec.domains)}, servers: {len(facts.servers)}; published as the spec wants them"
        )


def _finding(verdict: DnsVerdict) -> Finding:
    records = "\n".join(record.zone_line for record in verdict.paste)
    remedy = records or verdict.hint or "mailctl dns check"
    text = f"{verdict.domain}: {verdict.found}; {verdict.check.why}"
    return Finding(VERDICTS[verdict.level], " ".join(verdict.key), text, remedy)
