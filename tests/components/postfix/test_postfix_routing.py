"""Relays and routes: what the tables say, and what is refused because Postfix could not tell hops apart."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.components import postfix
from mailctl.components.postfix import routing
from mailctl.errors import SpecError
from mailctl.spec.choices import RelayPreset, TlsLevel
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.spec.presets import load_preset
from mailctl.target import DEBIAN_12

HEAD = """
version: 1
server: {hostname: relay.example.org, role: relay, trusted_networks: [10.0.0.0/24]}
tls: {self_signed: true}
"""
Load = Callable[[str], Spec]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Call with the relays and routes of a spec."""
    (tmp_path / "password").write_text("secret-one")
    (tmp_path / "other").write_text("secret-two")

    def load(text: str) -> Spec:
        file = tmp_path / "spec.yml"
        file.write_text(HEAD + textwrap.dedent(text))
        return load_spec(file)

    return load


def test_failover_keeps_the_order_of_the_spec(load: Load) -> None:
    spec = load("""
        relays:
          one: {hosts: ["[b.example]:587", "[a.example]:587"]}
          two: {hosts: ["[c.example]:587"]}
        routes: [{via: [two, one]}]
    """)
    assert routing.default_route(spec) == "smtp:[c.example]:587, [b.example]:587, [a.example]:587"


def test_port_465_takes_the_wrapped_transport(load: Load) -> None:
    spec = load("""
        relays: {one: {hosts: ["[a.example]:465"], username: u, password: {file: password}}}
        routes: [{to: [x.example], via: one}, {via: direct}]
    """)
    assert routing.recipient_routes(spec) == {"x.example": "relay-smtps:[a.example]:465"}
    assert routing.default_route(spec) == "smtp:"
    assert routing.uses_wrapped_hops(spec)


def test_a_password_is_never_sent_in_the_clear(load: Load) -> None:
    spec = load("""
        relays: {one: {hosts: ["[a.example]:587"], username: u, password: {file: password}}}
        routes: [{via: one}]
    """)
    assert routing.tls_policies(spec) == {"[a.example]:587": "encrypt"}
    assert routing.credentials(spec) == {"[a.example]:587": "u:secret-one"}


def test_a_preset_gives_hosts_and_level(load: Load) -> None:
    spec = load("""
        relays: {one: {preset: mailgun, region: eu, username: u, password: {file: password}}}
        routes: [{via: one}]
    """)
    assert routing.default_route(spec) == "smtp:[smtp.eu.mailgun.org]:587"
    assert routing.tls_policies(spec) == {"[smtp.eu.mailgun.org]:587": "encrypt"}


@pytest.mark.parametrize(
    "second",
    [
        '{hosts: ["[a.example]:587"], username: v, password: {file: password}}',
        '{hosts: ["[a.example]:587"], username: u, password: {file: other}}',
        '{hosts: ["[a.example]:587"], username: u, password: {file: password}, tls: secure}',
        '{hosts: ["[a.example]:587"]}',
    ],
)
def test_one_hop_has_one_login_and_one_level(second: str, load: Load) -> None:
    spec = load(f"""
        relays:
          one: {{hosts: ["[a.example]:587"], username: u, password: {{file: password}}}}
          two: {second}
        routes: [{{to: [x.example], via: two}}, {{via: one}}]
    """)
    with pytest.raises(SpecError) as caught:
        list(postfix.render(spec, DEBIAN_12))
    (problem,) = caught.value.problems
    assert problem.path == "relays.two"
    assert "[a.example]:587" in problem.message
    assert "secret" not in str(problem)


def test_an_internal_hop_does_not_borrow_a_login(load: Load) -> None:
    spec = load("""
        relays: {one: {hosts: ["[a.example]:587"], username: u, password: {file: password}}}
        routes: [{to: [x.example], via: {host: a.example, port: 587}}, {via: one}]
    """)
    with pytest.raises(SpecError):
        list(postfix.render(spec, DEBIAN_12))


def test_the_same_hop_twice_with_the_same_login_is_fine(load: Load) -> None:
    spec = load("""
        relays:
          one: {hosts: ["[a.example]:587"], username: u, password: {file: password}}
          two: {hosts: ["[a.example]:587", "[b.example]:587"], username: u, password: {file: password}}
        routes: [{to: [x.example], via: two}, {via: one}]
    """)
    assert list(postfix.render(spec, DEBIAN_12))


def test_wrapped_tls_cannot_be_optional(load: Load) -> None:
    spec = load("routes: [{to: [x.example], via: {host: a.example, port: 465, tls: may}}]")
    with pytest.raises(SpecError, match="spec asks"):
        list(postfix.render(spec, DEBIAN_12))


@pytest.mark.parametrize(("text", "needed"), [("dane", True), ("encrypt", False)])
def test_dane_needs_dnssec(text: str, needed: bool, load: Load) -> None:
    spec = load(f"routes: [{{to: [x.example], via: {{host: a.example, tls: {text}}}}}]")
    assert routing.needs_dnssec(spec) is needed


@pytest.mark.parametrize("name", list(RelayPreset))
def test_every_preset_is_complete(name: RelayPreset) -> None:
    preset = load_preset(name)
    assert preset.title
    assert preset.notes
    assert preset.source.startswith("https://")
    assert preset.tls in (TlsLevel.ENCRYPT, TlsLevel.VERIFY, TlsLevel.SECURE)
    hops = [*preset.hosts, *(hop for hops in preset.hosts_by_region.values() for hop in hops)]
    assert all(hop.port in (465, 587) and not hop.looks_up_mx for hop in hops)
    assert hops or name is RelayPreset.NAJVA


@pytest.mark.parametrize(
    ("name", "region", "words"),
    [
        (RelayPreset.MAILGUN, None, "needs a region; write one of eu, us"),
        (RelayPreset.AMAZON_SES, "mars-1", "has no region 'mars-1'"),
        (RelayPreset.SENDGRID, "eu", "has no regions"),
        (RelayPreset.NAJVA, None, "hosts"),
    ],
)
def test_a_preset_says_what_is_missing(name: RelayPreset, region: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_preset(name).next_hops(region)
