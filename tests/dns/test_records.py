"""What a spec wants published: specs, each with the zone it stands for, which loads and satisfies the check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest
import yaml
from octodns.provider.yaml import YamlProvider
from octodns.zone import Zone

from mailctl.dkim.states import REVOKED_RECORD, Stage
from mailctl.dns.check import check_domains
from mailctl.dns.facts import Facts, PublicKey
from mailctl.dns.formats import publication_json, render_octodns, render_table, render_zone
from mailctl.dns.records import Publication, publication
from mailctl.dns.resolve import Resolver, Server
from mailctl.host import LocalHost
from mailctl.spec.load import load_servers, load_spec
from mailctl.spec.model import Spec
from tests.dns.conftest import FOLDER
from tests.dns.server import ADDRESS, World, serving

SPECS = sorted((FOLDER / "records").glob("*.yml"))
LONG_KEY = f"v=DKIM1; k=rsa; p={'MIICIjANBgkqhkiG9w0BAQEFAAOC' * 26}"
KEYS = (
    PublicKey("example.org", "s0", "s0._domainkey.example.org", REVOKED_RECORD, Stage.RETIRED),
    PublicKey("example.org", "s1", "s1._domainkey.example.org", LONG_KEY, Stage.SIGNING),
)
TLSA = "3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
# What the spec does not decide: other people's records, and a web server for the policy.
WORLD = """
_spf.google.com.            TXT "v=spf1 -all"
_spf.isp.example.           TXT "v=spf1 -all"
mta-sts.example.org.        A   1.2.3.9
mta-sts.news.example.org.   A   1.2.3.9
mta-sts.xn--bcher-kva.example. A 1.2.3.9
2.0.0.127.zen.spamhaus.org. A   127.0.0.2
2.0.0.127.bl.spamcop.net.   A   127.0.0.2
2.0.0.127.psbl.surriel.com. A   127.0.0.2
"""


# The fields of MX, SRV and TLSA in the order of a zone file.
OCTODNS_ORDER = (
    *("preference", "exchange", "priority", "weight", "port", "target"),
    *("certificate_usage", "selector", "matching_type", "certificate_association_data"),
)


def load(path: Path) -> tuple[Spec, Facts, Publication]:
    spec = load_spec(path)
    keys = KEYS if spec.domains["example.org"].dkim else ()
    facts = Facts(load_servers(path), keys, TLSA)
    return spec, facts, publication(spec, facts)


@pytest.fixture(params=SPECS, ids=lambda path: path.stem)
def spec_file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_the_zone_of_a_spec(spec_file: Path, request: pytest.FixtureRequest) -> None:
    expected = spec_file.with_suffix(".zone")
    zone = render_zone(load(spec_file)[2]) + "\n"
    if request.config.getoption("--update-golden"):
        expected.write_text(zone)
    assert zone == expected.read_text()


def test_the_zone_says_the_same_to_a_parser(spec_file: Path) -> None:
    found = load(spec_file)[2]
    zone = dns.zone.from_text(render_zone(found), origin=".", relativize=False, check_origin=False)
    parsed = {
        (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(rdtype), _value(rdata))
        for name, _, rdata in zone.iterate_rdatas()
        for rdtype in [rdata.rdtype]
    }
    assert parsed == {(each.name, each.rdtype, each.value) for each in found.records if each.rdtype != "PTR"}


def _value(rdata: dns.rdata.Rdata) -> str:
    if rdata.rdtype == dns.rdatatype.TXT:
        return b"".join(rdata.strings).decode()
    text = rdata.to_text()
    return text if text.endswith(" .") else text.removesuffix(".")


def test_a_name_server_takes_the_zone_of_each_domain(
    spec_file: Path, tmp_path: Path, require_tools: Callable[..., None]
) -> None:
    require_tools("nsd-checkzone")
    spec, _, found = load(spec_file)
    for domain in spec.domains:
        zone = tmp_path / f"{domain}.zone"
        records = render_zone(Publication(tuple(each for each in found.records if _is_below(each.name, domain))))
        zone.write_text(f"$ORIGIN {domain}.\n$TTL 300\n@ SOA ns h 1 1 1 1 1\n@ NS ns.example.net.\n{records}\n")
        done = LocalHost().run(["nsd-checkzone", domain, zone])
        assert (done.returncode, done.stderr) == (0, b""), done.complaint


def _is_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def test_what_is_published_as_printed_satisfies_the_check(spec_file: Path) -> None:
    spec, facts, found = load(spec_file)
    # The long key is no key; and who passes mail on must be found elsewhere.
    facts = Facts(facts.servers, (), facts.tlsa)
    domains = spec.domains
    spec = spec.model_copy(
        update={"domains": {name: each.model_copy(update={"dkim": None}) for name, each in domains.items()}}
    )
    reverse = "\n".join(each.zone_line for each in found.records if each.rdtype == "PTR")
    with serving(World(f"{render_zone(found)}\n{reverse}\n{WORLD}{_addresses_outside(spec_file)}")) as port:
        verdicts = check_domains(spec, facts, Resolver([Server(ADDRESS, port)], timeout=20, within=120))
    assert verdicts == ()


def _addresses_outside(spec_file: Path) -> str:
    """What a spec that is silent about addresses, or about the primary, leaves to others."""
    return {
        "send-only": "app.example.org. A 1.2.3.7\n7.3.2.1.in-addr.arpa. PTR app.example.org.\n"
        "example.org. MX 5 mx.isp.example.\nmx.isp.example. A 1.2.3.8\n",
        "backup-mx": "example.org. MX 10 mx1.example.org.\nmx1.example.org. A 1.2.3.4\n",
    }.get(spec_file.stem, "")


def test_long_text_is_split_where_a_string_ends(spec_file: Path) -> None:
    for line in render_zone(load(spec_file)[2]).splitlines():
        strings = line.split('"')[1::2]
        assert all(len(each) <= 255 for each in strings)
    assert any(len(each.rdata.split('" "')) == 3 for each in load(FOLDER / "records/full.yml")[2].records)


def test_octodns_reads_the_same_records(spec_file: Path) -> None:
    found = load(spec_file)[2]
    text = render_octodns(found)
    zones = [part.partition("\n")[0].removeprefix("# ").removesuffix(".yaml") for part in text.split("---\n")[1:]]
    records = {
        (f"{name}.{zone}".lstrip("."), each["type"], value)
        for zone, data in zip(zones, yaml.safe_load_all(text), strict=True)
        for name, sets in data.items()
        for each in sets
        for value in map(_from_octodns, each["values"])
    }
    assert records == {(each.name, each.rdtype, each.value) for each in found.records if each.rdtype != "PTR"}


def test_octodns_itself_takes_every_zone(spec_file: Path, tmp_path: Path) -> None:
    found = load(spec_file)[2]
    loaded = 0
    for part in render_octodns(found).split("---\n")[1:]:
        file = part.partition("\n")[0].removeprefix("# ")
        (tmp_path / file).write_text(f"---\n{part}")
        zone = Zone(file.removesuffix("yaml"), [])
        YamlProvider("config", str(tmp_path), escaped_semicolons=True).populate(zone)
        loaded += len(zone.records)
    assert loaded == len({(each.name, each.rdtype) for each in found.records if each.rdtype != "PTR"})


def _from_octodns(value: object) -> str:
    if isinstance(value, dict):
        words = [str(value[key]) for key in OCTODNS_ORDER if key in value]
        return " ".join(word if word == "." else word.removesuffix(".") for word in words)
    return str(value).replace("\\;", ";")


def test_json_has_the_records_the_policies_and_the_notes() -> None:
    found = load(FOLDER / "records/full.yml")[2]
    data = json.loads(json.dumps(publication_json(found)))
    assert len(data["records"]) == len(found.records)
    assert {each["url"] for each in data["policies"]} == {
        f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
        for domain in ("example.org", "news.example.org", "xn--bcher-kva.example")
    }
    assert data["policies"][0]["content"].startswith("version: STSv1\r\nmode: testing\r\nmx: mx1.example.org\r\n")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("send-only", "relay 'isp': ask for its SPF include"),
        ("send-only", "app.example.org: write server.addresses"),
        ("backup-mx", "the server that stores its mail is not in this spec"),
        ("full", "a CAA record"),
    ],
)
def test_what_no_record_can_say_is_noted(spec: str, text: str) -> None:
    found = load(FOLDER / f"records/{spec}.yml")[2]
    assert any(text in note.text for note in found.notes)
    assert text in render_table(found)
