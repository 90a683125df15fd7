"""DNSSEC as it really is: nsd serves a signed zone, unbound validates it, and one record was changed after signing."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mailctl.dns.answer import Outcome
from mailctl.dns.resolve import Resolver, Server
from tests.dns.server import ADDRESS

ZONE = """
$ORIGIN signed.test.
$TTL 300
@           SOA  ns1 host 1 3600 600 86400 300
@           NS   ns1
ns1         A    127.0.0.1
@           MX   10 mx1
mx1         A    1.2.3.4
@           TXT  "v=spf1 mx -all"
s1._domainkey TXT "v=DKIM1; p=ORIGINAL"
"""
BROKEN = ("ORIGINAL", "FORGED")
WAIT = 60  # seconds a busy machine may take to start a daemon


@pytest.fixture(scope="module")
def resolver(
    tmp_path_factory: pytest.TempPathFactory, require_tools: Callable[..., None], require_root: None
) -> Iterator[Resolver]:
    require_tools("nsd", "unbound", "ldns-keygen", "ldns-signzone")
    folder = tmp_path_factory.mktemp("dnssec")
    zone, anchor = _sign(folder)
    authoritative, validating = _free_port(), _free_port()
    with ExitStack() as daemons:
        daemons.enter_context(_daemon("nsd", "-d", "-c", _nsd_conf(folder, authoritative, zone)))
        daemons.enter_context(_daemon("unbound", "-d", "-c", _unbound_conf(folder, validating, authoritative, anchor)))
        asking = Resolver([Server(ADDRESS, validating)], timeout=10, within=3600, authoritative_port=authoritative)
        _wait_for_answers(ADDRESS, authoritative)
        _wait_for_answers(ADDRESS, validating)
        yield asking


def test_a_valid_answer_is_authenticated(resolver: Resolver) -> None:
    answer = resolver.ask("signed.test", "MX")
    assert (answer.outcome, answer.values) == (Outcome.FOUND, ("10 mx1.signed.test",))
    assert answer.is_authenticated


def test_a_changed_record_is_bogus_not_broken(resolver: Resolver) -> None:
    answer = resolver.ask("s1._domainkey.signed.test", "TXT")
    assert answer.outcome is Outcome.BOGUS
    assert answer.values == ()


def test_absence_is_told_apart_under_signatures_too(resolver: Resolver) -> None:
    assert resolver.ask("signed.test", "AAAA").outcome is Outcome.NO_DATA
    assert resolver.ask("nobody.signed.test", "A").outcome is Outcome.NXDOMAIN


def test_the_authoritative_server_itself_shows_what_it_serves(resolver: Resolver) -> None:
    said = resolver.ask_authoritative("s1._domainkey.signed.test", "TXT")
    assert [(each.server.name, each.answer.values) for each in said] == [("ns1.signed.test", ("v=DKIM1; p=FORGED",))]


def _sign(folder: Path) -> tuple[Path, Path]:
    """The signed zone, one record of it changed afterwards, and the key to trust."""
    unsigned = folder / "signed.test.zone"
    unsigned.write_text(ZONE)
    made = subprocess.run(
        ["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "signed.test"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    key = made.stdout.strip()
    subprocess.run(["ldns-signzone", "-o", "signed.test", unsigned, key], cwd=folder, check=True, capture_output=True)
    signed = folder / "signed.test.zone.signed"
    text = signed.read_text()
    assert BROKEN[0] in text
    signed.write_text(text.replace(*BROKEN))
    return signed, folder / f"{key}.key"


def _nsd_conf(folder: Path, port: int, zone: Path) -> Path:
    conf = folder / "nsd.conf"
    conf.write_text(f"""
server:
  ip-address: {ADDRESS}@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
remote-control:
  control-enable: no
zone:
  name: signed.test
  zonefile: "{zone}"
""")
    return conf


def _unbound_conf(folder: Path, port: int, authoritative: int, anchor: Path) -> Path:
    conf = folder / "unbound.conf"
    conf.write_text(f"""
server:
  interface: {ADDRESS}@{port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{anchor}"
  local-zone: "test." nodefault
  do-ip6: no
remote-control:
  control-enable: no
stub-zone:
  name: "signed.test"
  stub-addr: {ADDRESS}@{authoritative}
forward-zone:
  name: "."
  forward-addr: {ADDRESS}@{authoritative}
""")
    return conf


@contextmanager
def _daemon(*argv: str | Path) -> Iterator[None]:
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def _wait_for_answers(address: str, port: int) -> None:
    """Until the daemon answers anything at all."""
    end = time.monotonic() + WAIT
    while Resolver([Server(address, port)], timeout=1).ask("signed.test", "NS").outcome is Outcome.TIMEOUT:
        assert time.monotonic() < end, f"nobody answers at {address}:{port}"
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
        probing.bind((ADDRESS, 0))
        return int(probing.getsockname()[1])
