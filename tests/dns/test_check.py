"""Every verdict, found in a zone that is broken in that way and no other; a new case is a few lines in cases/*.yml."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailctl.dkim.states import REVOKED_RECORD, Stage
from mailctl.dns.check import check_domains
from mailctl.dns.facts import Facts, PublicKey, read_facts
from mailctl.dns.resolve import Resolver, Server
from mailctl.dns.verdict import Check, Level, Verdict
from mailctl.spec.load import load_servers, load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.dns.conftest import CERTIFICATE, FOLDER, Machine
from tests.dns.server import ADDRESS, World, serving

RECORD_TYPES = {"A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TLSA", "TXT"}
KEYS = {"drop", "add", "faults", "spec", "host", "keys", "finds", "never_asks"}


@dataclass(frozen=True)
class Case:
    name: str
    data: Mapping[str, Any]

    def zone(self) -> str:
        """The good zone with the changes of the case."""
        dropped = self.data.get("drop", [])
        lines = [line for line in (FOLDER / "good.zone").read_text().splitlines() if not _is_dropped(line, dropped)]
        assert len(lines) <= len((FOLDER / "good.zone").read_text().splitlines()) - len(dropped), "drops nothing"
        return "\n".join([*lines, self.data.get("add", "")])

    def load(self, folder: Path, machine: Machine) -> tuple[Spec, Facts]:
        spec_file = folder / "mailctl.yml"
        good = yaml.safe_load((FOLDER / "good.yml").read_text())
        spec_file.write_text(yaml.safe_dump(_laid_over(good, self.data.get("spec", {}))))
        spec = load_spec(spec_file, self.data.get("host"))
        facts = read_facts(machine.host, spec, DEBIAN_12, CERTIFICATE, load_servers(spec_file))
        (key,) = facts.keys
        stages = {selector: Stage(stage) for selector, stage in self.data.get("keys", {"s1": "signing"}).items()}
        return spec, replace(facts, keys=tuple(_at(key, selector, stage) for selector, stage in stages.items()))


def _at(key: PublicKey, selector: str, stage: Stage) -> PublicKey:
    """The key of the run under another selector, in a stage of its life."""
    record = REVOKED_RECORD if stage is Stage.RETIRED else key.record
    return PublicKey(key.domain, selector, f"{selector}._domainkey.{key.domain}", record, stage)


def _is_dropped(line: str, dropped: list[str]) -> bool:
    words = line.split()
    return len(words) > 1 and any(each in (words[0][:-1], f"{words[0][:-1]} {words[1]}") for each in dropped)


def _laid_over(base: Any, above: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(above, dict)):
        return above
    return base | {key: _laid_over(base.get(key), value) for key, value in above.items()}


CASES = [
    Case(name, data)
    for file in sorted((FOLDER / "cases").glob("*.yml"))
    for name, data in yaml.safe_load(file.read_text()).items()
]


def _published(zone: str, verdicts: Iterable[Verdict]) -> str:
    """The zone once the records of the verdicts stand in it, in place of those of the same name, type and kind."""
    records = [record for verdict in verdicts for record in verdict.paste]
    replaced = {(record.name, record.rdtype, _kind(record.rdata)) for record in records}
    lines = [line for line in zone.splitlines() if line.strip() and not line.startswith(";")]
    # A CNAME bears no other record beside it, RFC 1034 section 3.6.2.
    replaced |= {(record.name, "CNAME", "") for record in records}
    kept = [line for line in lines if _place(line) not in replaced]
    return "\n".join([*kept, *dict.fromkeys(record.zone_line for record in records)])


def _place(line: str) -> tuple[str, str, str]:
    name, *rest = line.split()
    rdtype = next(word for word in rest if word in RECORD_TYPES)
    return name.removesuffix("."), rdtype, _kind(line.partition(rdtype)[2].strip())


def _kind(rdata: str) -> str:
    """SPF among the TXT records of a name: others stay."""
    return "spf" if rdata.startswith('"v=spf1 ') else ""


@contextmanager
def checked(case: Case, folder: Path, machine: Machine, zone: str = "") -> Iterator[tuple[tuple[Verdict, ...], World]]:
    world = World(machine.zone(zone or case.zone()), case.data.get("faults"))
    spec, facts = case.load(folder, machine)
    is_silent = "silent" in case.data.get("faults", {}).values()
    with serving(world) as port:
        resolver = Resolver([Server(ADDRESS, port)], timeout=0.5 if is_silent else 20, within=120)
        yield check_domains(spec, facts, resolver), world


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdicts_of_a_broken_zone(case: Case, tmp_path: Path, machine: Machine) -> None:
    assert case.data.keys() <= KEYS
    with checked(case, tmp_path, machine) as (verdicts, world):
        found = {verdict.check.code: verdict.found for verdict in verdicts}
        assert found.keys() == set(case.data["finds"]), found
        assert all(f"{verdict.found} {verdict.hint}".isprintable() for verdict in verdicts)
        if "never_asks" in case.data:
            assert not [name for name, _, _ in world.asked if case.data["never_asks"] in name]
    mendable = {verdict.key for verdict in verdicts if verdict.paste}
    if mendable and "faults" not in case.data:
        with checked(case, tmp_path, machine, _published(machine.zone(case.zone()), verdicts)) as (left, _):
            assert mendable.isdisjoint(verdict.key for verdict in left), "what it says to publish does not mend it"


def test_every_verdict_has_a_case_that_finds_it() -> None:
    found = {code for case in CASES for code in case.data["finds"]}
    assert found == {check.code for check in Check}


def test_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_record_to_publish_comes_with_the_verdict(tmp_path: Path, machine: Machine) -> None:
    case = Case("", {"drop": ["_dmarc.example.org"]})
    with checked(case, tmp_path, machine) as ((verdict,), _):
        (record,) = verdict.paste
    wanted = '"v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"'
    assert record.zone_line == f"_dmarc.example.org. 3600 IN TXT {wanted}"


def test_two_spf_records_become_one_that_keeps_what_others_need(tmp_path: Path, machine: Machine) -> None:
    case = Case("", {"add": 'example.org. TXT "v=spf1 include:_spf.shop.example ~all"'})
    with checked(case, tmp_path, machine) as ((verdict,), _):
        (record,) = verdict.paste
    wanted = "v=spf1 ip4:1.2.3.4 ip6:2600::4 include:_spf.relay.example include:_spf.shop.example -all"
    assert record.value == wanted


def test_a_record_that_lives_long_is_to_be_shortened_first(tmp_path: Path, machine: Machine) -> None:
    text = '"v=DMARC1; p=none; rua=mailto:dmarc@example.org"'
    case = Case("", {"drop": ["_dmarc.example.org"], "add": f"_dmarc.example.org. 86400 TXT {text}"})
    with checked(case, tmp_path, machine) as ((verdict,), _):
        assert "24 hours" in verdict.hint
    case = Case("", {"drop": ["_dmarc.example.org"], "add": f"_dmarc.example.org. 300 TXT {text}"})
    with checked(case, tmp_path, machine) as ((verdict,), _):
        assert verdict.hint == ""


def test_a_silent_resolver_ends_in_unknown_within_the_deadline(tmp_path: Path, machine: Machine) -> None:
    case = Case("", {})
    world = World("", {"*": "silent"})
    spec, facts = case.load(tmp_path, machine)
    with serving(world) as port:
        started = time.monotonic()
        verdicts = check_domains(spec, facts, Resolver([Server(ADDRESS, port)], timeout=1, within=3))
        took = time.monotonic() - started
    assert {verdict.level for verdict in verdicts} == {Level.UNKNOWN}
    assert {verdict.domain for verdict in verdicts} == {"example.org", "parked.example", "mx1.example.org"}
    assert took < 10


def test_the_page_names_every_verdict() -> None:
    page = (FOLDER.parents[1] / "docs/dns.md").read_text()
    rows = {f"| `{check.code}` | {check.level} | {check.why} |" for check in Check}
    assert rows <= set(page.splitlines())
