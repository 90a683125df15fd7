"""The doctor asks the DNS: what is missing comes with the record to publish; nobody there is a warning."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import yaml

from mailctl.dns.resolve import Resolver, Server
from mailctl.doctor.checks import domain_names
from mailctl.doctor.model import Finding, Patient, Verdict
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.dns.conftest import FOLDER, Machine
from tests.dns.conftest import machine as machine
from tests.dns.server import ADDRESS, World, serving

SPEC = Spec.model_validate({**yaml.safe_load((FOLDER / "good.yml").read_text()), "version": "1"})


def resolver(port: int, *, is_silent: bool = False) -> Resolver:
    """Waits long for a server that answers, since the machine may be busy."""
    timeout, within = (0.2, 2) if is_silent else (20, 120)
    return Resolver([Server(ADDRESS, port)], timeout=timeout, within=within)


def look(machine: Machine, monkeypatch: pytest.MonkeyPatch, *drop: str, fault: str = "") -> list[Finding]:
    lines = machine.zone((FOLDER / "good.zone").read_text()).splitlines()
    zone = "\n".join(line for line in lines if not any(line.startswith(name) for name in drop))
    with serving(World(zone, {"*": fault} if fault else {})) as port:
        asking = resolver(port, is_silent=fault == "silent")
        monkeypatch.setattr(Resolver, "of_system", lambda **options: asking)
        patient = Patient(machine.host, DEBIAN_12, SPEC, (), datetime.now(UTC))
        return list(domain_names.look(patient, SPEC))


def test_a_zone_as_the_spec_wants_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.verdict for found in look(machine, monkeypatch)] == [Verdict.OK]


def test_a_missing_record_comes_with_what_to_publish(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(machine, monkeypatch, "_dmarc.example.org.")
    failed = [each for each in found if each.verdict is Verdict.FAIL]
    assert [each.subject for each in failed] == ["example.org dmarc-missing _dmarc.example.org"]
    assert failed[0].remedy.startswith("_dmarc.example.org.")


def test_a_private_address_says_why_it_is_wrong_and_not_to_publish_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = machine.zone((FOLDER / "good.zone").read_text())
    private = re.sub(r"(?m)^(mx1\.example\.org\..*\sA\s+)\S+", r"\g<1>10.0.0.1", zone)
    assert private != zone
    bare = SPEC.model_copy(update={"server": SPEC.server.model_copy(update={"addresses": ()})})
    with serving(World(private)) as port:
        asking = resolver(port)
        monkeypatch.setattr(Resolver, "of_system", lambda **options: asking)
        patient = Patient(machine.host, DEBIAN_12, bare, (), datetime.now(UTC))
        found = {each.subject: each for each in domain_names.look(patient, bare)}
    mended = found["example.org mx-private mx1.example.org"]
    assert "the address 10.0.0.1; nobody outside reaches such an address" in mended.text
    assert mended.remedy.startswith("publish the public address of mx1.example.org")


def test_a_silent_resolver_is_a_warning(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(machine, monkeypatch, fault="silent")
    assert {each.verdict for each in found} == {Verdict.WARN}
    assert all(each.remedy for each in found)
