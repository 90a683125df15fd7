"""Specs of all kinds, as hypothesis makes them: every role, and whatever a domain, a relay or a route may hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("ali", "bob", "carol", "dora")
HASHES = tuple("{SHA512-CRYPT}$6$aaaaaaaaaaaaaaaa$" + letter * 86 for letter in "xyz")
ALI = {"password": {"hash": HASHES[0]}}
RELAY_PASSWORD = "relay.secret"
RELAYS = {
    "isp": {"hosts": ["[smtp.isp.example]:587"], "tls": "encrypt"},
    "ses": {"preset": "amazon-ses", "region": "eu-west-1", "username": "AKIA", "password": {"file": RELAY_PASSWORD}},
    "old": {"hosts": ["mail.old.example", "[192.0.2.25]:2525"], "tls": "may"},
    "wrapped": {"hosts": ["[smtp.safe.example]:465"], "username": "u", "password": {"file": RELAY_PASSWORD}},
}
ROUTES = (
    {"to": ["intra.example.org", ".branch.example"], "via": {"host": "10.0.0.5"}},
    {"to": ["partner.example"], "via": {"host": "192.0.2.9", "port": "2525", "tls": "encrypt"}},
    {"to": ["outlook.example"], "via": "ses"},
    {"from": "@example.org", "via": ["ses", "isp"]},
    {"from": "ali@example.org", "via": "old"},
    {"via": "wrapped"},
    {"via": "direct"},
)
DOMAIN_NAMES = ("example.org", "example.net", "bücher.example", "xn--mnchen-3ya.example")

passwords = st.sampled_from(HASHES).map(lambda text: {"hash": text})
mailboxes = st.fixed_dictionaries({"password": passwords}, optional={"quota": st.sampled_from(["1G", "2G", "0"])})
domains = st.fixed_dictionaries(
    {"mailboxes": st.dictionaries(st.sampled_from(NAMES[1:]), mailboxes).map(lambda found: {"ali": ALI, **found})},
    optional={
        "quota": st.sampled_from(["10G", "20G"]),
        "catch_all": st.just("ali"),
        "dkim": st.sampled_from([{"selector": "s1"}, {"selector": "s2"}]),
        "aliases": st.dictionaries(
            st.sampled_from(["info", "team", "/^ticket-[0-9]+$/"]),
            st.sampled_from([["ali"], ["ali", "bob@elsewhere.example"]]),
        ),
    },
)

logins = st.fixed_dictionaries(
    {"password": passwords, "kind": st.just("smtp-user")},
    optional={
        "deliver_to": st.just(["ops@elsewhere.example"]),
        "null_sender": st.just("true"),
        "send_as": st.just(["ali"]),
    },
)
wide_domains = st.builds(
    lambda domain, users: {**domain, "mailboxes": {**domain["mailboxes"], **users}},
    domains,
    st.dictionaries(st.sampled_from(["app", "web-1", "o'brien", "a+b"]), logins, max_size=2),
)
routes = st.lists(st.sampled_from(ROUTES), unique_by=str, max_size=5).map(
    lambda found: sorted(found, key=lambda route: 0 if "to" in route else 1 if "from" in route else 2)
)


def any_spec() -> st.SearchStrategy[dict[str, Any]]:
    """A spec of any role; not each is accepted."""
    return st.fixed_dictionaries(
        {
            "version": st.just("1"),
            "server": st.fixed_dictionaries(
                {
                    "hostname": st.just("mx1.example.com"),
                    "role": st.sampled_from(["full", "full", "send-only", "relay", "backup-mx"]),
                },
                optional={
                    "message_size": st.sampled_from(["20M", "1G"]),
                    "trusted_networks": st.sampled_from([["10.1.0.0/16"], ["2001:db8:7::/48", "192.0.2.7"]]),
                },
            ),
            "tls": st.fixed_dictionaries(
                {"self_signed": st.just("true")},
                optional={
                    "profile": st.sampled_from(["modern", "intermediate", "old"]),
                    "outbound": st.sampled_from(["may", "encrypt", "dane"]),
                    "policies": st.just({"partner.example": {"level": "secure", "match": ["mx.partner.example"]}}),
                },
            ),
            "domains": st.dictionaries(st.sampled_from(DOMAIN_NAMES), wide_domains, min_size=1),
            "relays": st.just(RELAYS),
        },
        optional={
            "quota": st.just({"mailbox": "2G", "warn": ["80", "95"]}),
            "local_aliases": st.sampled_from(
                [{"root": "ali@example.org"}, {"root": "x@elsewhere.example", "ops": "y@e.example"}]
            ),
            "routes": routes,
            "postfix": st.sampled_from(
                [
                    {"main": {"smtpd_timeout": "200s", "smtpd_client_restrictions": "sleep 1, permit"}},
                    {"master": {"slow/unix": "- - n - 1 smtp"}, "main": {"slow_destination_rate_delay": "1s"}},
                ]
            ),
        },
    )
