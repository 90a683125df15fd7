"""Our verdicts on the cases beside checkdmarc's on the same zones: where they differ, a reason is written down here.

checkdmarc says whether a record is valid; of our verdicts those count that say the same.
"""

from __future__ import annotations

import dns.resolver
import pytest
from checkdmarc.dmarc import check_dmarc
from checkdmarc.smtp_tls_reporting import check_smtp_tls_reporting
from checkdmarc.spf import check_spf
from checkdmarc.utils import DNS_CACHE

from tests.dns.conftest import Machine
from tests.dns.server import ADDRESS, World, serving
from tests.dns.test_check import CASES, Case

INVALID = {
    "spf": {"spf-missing", "spf-multiple", "spf-permerror", "spf-lookups", "spf-void"},
    "dmarc": {"dmarc-missing", "dmarc-multiple", "dmarc-invalid"},
    "tlsrpt": {"tlsrpt-missing", "tlsrpt-invalid"},
}
PEERS = {"spf": check_spf, "dmarc": check_dmarc, "tlsrpt": check_smtp_tls_reporting}

NO_DOMAIN = "it warns; by section 7.1 of RFC 7208 no name ends so, which is a syntax error"
# What checkdmarc sees otherwise, by case and record; the second word is what it says.
DIFFERENCES = {
    ("three names that do not exist", "spf"): (
        "valid",
        "it warns of each name; RFC 7208 section 4.6.4 lets receivers stop at the third, and large ones do",
    ),
    ("a port instead of a prefix length", "spf"): ("valid", NO_DOMAIN),
    ("a name without a dot", "spf"): ("valid", NO_DOMAIN),
    ("the include does not answer", "spf"): (
        "invalid",
        "a server that fails today says nothing about the record (temperror, not permerror)",
    ),
    ("the record is broken, the rest is not", "dmarc"): (
        "invalid",
        "SERVFAIL is a verdict of its own: nobody knows what the record says",
    ),
    ("a signature is wrong", "spf"): ("invalid", "a bogus answer is a verdict of its own"),
    ("the resolver does not want to answer", "spf"): ("invalid", "nothing is known, so nothing is called invalid"),
    ("the resolver does not want to answer", "dmarc"): ("invalid", "nothing is known, so nothing is called invalid"),
    ("the resolver does not want to answer", "tlsrpt"): ("invalid", "nothing is known, so nothing is called invalid"),
    ("no policy", "dmarc"): (
        "valid",
        "p= may be left out since RFC 9989 only; receivers of the years before ignore such a record",
    ),
}
# The name does not exist, which we say once; or it is slow, and a busy machine would decide the test.
LEFT_OUT = {"the domain does not exist", "the resolver does not answer one question"}


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in LEFT_OUT], ids=lambda case: case.name)
def test_a_peer_sees_the_same(case: Case, machine: Machine) -> None:
    world = World(machine.zone(case.zone()), case.data.get("faults"))
    DNS_CACHE.clear()
    with serving(world) as port:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = [ADDRESS], port, 20
        said = {name: bool(check("example.org", resolver=resolver)["valid"]) for name, check in PEERS.items()}
    for name, is_valid in said.items():
        ours = INVALID[name].isdisjoint(case.data["finds"])
        expected, _ = DIFFERENCES.get((case.name, name), ("valid" if ours else "invalid", ""))
        assert is_valid is (expected == "valid"), name


def test_every_difference_is_one() -> None:
    by_name = {case.name: case for case in CASES}
    for (case, record), (said, _) in DIFFERENCES.items():
        ours = INVALID[record].isdisjoint(by_name[case].data["finds"])
        assert ours is not (said == "valid"), case
