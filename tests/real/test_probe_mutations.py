"""Each check of the probe can fail: a server broken in one way is found by the checks that are about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from mailctl.components.ciphers import cipher_list
from mailctl.probe import Verdict, select_checks
from mailctl.spec.choices import TlsProfile
from tests.real.fake_servers import FAULTS
from tests.real.probe_lab import Mutation, ProbeLab, started_lab

pytestmark = pytest.mark.real

# Postfix wants one restriction that refuses; here it is never reached.
OPEN = dict.fromkeys(
    ("smtpd_client_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions"),
    "check_client_access,static:OK,reject",
)
LOGINS_OPEN = {"smtpd_sender_restrictions": ""}
DOVECOT = "/etc/dovecot/dovecot.conf"
ANYBODY = "passdb {\n  driver = static\n  args = nopassword=y\n}\npassdb {\n  driver = passwd-file"
FIRST_PASSDB = "passdb {\n  driver = passwd-file"
OPEN_IMAP = """
ssl = yes
disable_plaintext_auth = no
service imap-login {
  inet_listener imap {
    port = 143
  }
}
"""
OWN_SUITES = f"ssl_cipher_list = {cipher_list(TlsProfile.INTERMEDIATE)}"
ANONYMOUS = "smtpd_sasl_security_options"

# A machine that is slow enough hides that a delay is missing.
TRIES = 5
BROKE_DOWN = re.compile("not proved|no connection|no answer|hung up|did not come back")

MUTATIONS = (
    Mutation(
        "open to every network",
        ("relay.stranger", "relay.null-sender", "relay.our-address", "relay.second-recipient", "relay.after-reset",
         "relay.upper-case", "relay.a-label", "relay.percent-host", "relay.source-route-host",
         "relay.orcpt", "relay.our-host", "relay.our-literal", "relay.percent-literal", "relay.bang-host",
         "relay.subdomain", "relay.after-failed-auth", "relay.trailing-dot", "relay.success-notice"),
        main={"mynetworks": "0.0.0.0/0, [::]/0", "smtpd_discard_ehlo_keywords": ""},
    ),
    Mutation(
        "open, and lenient about addresses",
        ("relay.percent-domain", "relay.quoted", "relay.quoted-percent", "relay.two-at-literal",
         "relay.quoted-literal", "relay.two-at-host", "relay.quoted-host", "relay.quoted-domain",
         "relay.source-route-literal", "relay.source-route-domain", "relay.bang", "relay.bang-literal"),
        main={"mynetworks": "0.0.0.0/0, [::]/0", "strict_rfc821_envelopes": "no",
              "smtpd_reject_unlisted_recipient": "no", "smtpd_recipient_restrictions": ""},
    ),
    Mutation("no relay restriction on submission", ("relay.mail-auth", "relay.stranger"),
             options=OPEN),
    Mutation("the null sender relays", ("relay.null-sender",),
             main={"smtpd_relay_restrictions": "check_sender_access inline:{<>=OK}, reject_unauth_destination"}),
    Mutation("our addresses relay", ("relay.our-address",),
             main={"smtpd_relay_restrictions":
                   "check_sender_access inline:{example.org=OK}, reject_unauth_destination"}),
    Mutation("our own name relays", ("relay.helo-hostname",),
             main={"smtpd_relay_restrictions":
                   "check_helo_access inline:{mx1.example.org=OK}, reject_unauth_destination"}),
    Mutation("localhost relays", ("relay.helo-localhost",),
             main={"smtpd_relay_restrictions":
                   "check_helo_access inline:{localhost.localdomain=OK}, reject_unauth_destination"}),
    Mutation("subdomains relay", ("relay.subdomain",), main={"relay_domains": ".example.org"}),
    Mutation("XCLIENT for all", ("relay.xclient",), main={"smtpd_authorized_xclient_hosts": "0.0.0.0/0, [::]/0"}),
    Mutation("XFORWARD for all", ("relay.xforward",), main={"smtpd_authorized_xforward_hosts": "0.0.0.0/0, [::]/0"}),
    Mutation("AUTH on 25", ("auth.not-offered-25", "auth.not-taken-25"), main={"smtpd_sasl_auth_enable": "yes"}),
    Mutation("AUTH in clear", ("auth.not-offered-in-clear", "auth.not-taken-in-clear", "auth.no-mail-in-clear"),
             main={"smtpd_tls_auth_only": "no"}, options={"smtpd_tls_security_level": "may"}),
    Mutation("no AUTH", ("auth.offered",), options={"smtpd_sasl_auth_enable": "no"}),
    Mutation("anonymous AUTH", ("auth.no-anonymous",), main={ANONYMOUS: "", "smtpd_sasl_tls_security_options": ""},
             replace={DOVECOT: ("auth_mechanisms = plain login", "auth_mechanisms = plain login anonymous")}),
    Mutation("any password", ("auth.wrong-password",), replace={DOVECOT: (FIRST_PASSDB, ANYBODY)}),
    Mutation("no delay", ("auth.same-answer",),
             replace={DOVECOT: ("auth_failure_delay = 2 secs", "auth_failure_delay = 0")}),
    Mutation("IMAP in clear", ("auth.mailbox-ports",),
             replace={DOVECOT: ("service lmtp {", f"{OPEN_IMAP}service lmtp {{")}),
    Mutation("endless patience", ("enumeration.errors",),
             main={"smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "100"}),
    Mutation("no limit of tries", ("auth.rate",), main={"smtpd_client_auth_rate_limit": "0"}),
    Mutation(
        "anybody is anybody",
        ("identity.neighbour", "identity.neighbour-case", "identity.neighbour-tag", "identity.neighbour-alias",
         "identity.neighbour-dot", "identity.neighbour-percent", "identity.neighbour-quoted",
         "identity.neighbour-bang", "identity.neighbour-route", "identity.machine",
         "identity.tenant", "identity.catch-all", "identity.outside", "identity.null-sender",
         "identity.second-transaction", "identity.tables"),
        options=LOGINS_OPEN,
    ),
    Mutation("anybody is nobody", ("identity.nobody",),
             main={"smtpd_reject_unlisted_sender": "no"}, options=LOGINS_OPEN),
    Mutation("nobody owns anything",
             ("identity.own-address", "identity.own-alias", "identity.own-tag", "identity.shared-alias",
              "identity.tables"),
             main={"smtpd_sender_login_maps": "static:nobody"}),
    Mutation("nobody may bounce", ("identity.null-sender-marked",), main={"mailctl_null_sender": "reject"}),
    Mutation("a bare line feed ends a message", ("smuggling.inbound",), main={"smtpd_forbid_bare_newline": "no"}),
    Mutation("stray line ends leave", ("smuggling.outbound",),
             main={"smtpd_forbid_bare_newline": "no", "cleanup_replace_stray_cr_lf": "no"}),
    Mutation("TLS of the last century", ("tls.versions", "tls.mozilla-intermediate", "tls.hash"),
             main={"smtpd_tls_protocols": ">=TLSv1", "smtpd_tls_mandatory_protocols": ">=TLSv1",
                   "mailctl_tls_cipherlist": "ALL:@SECLEVEL=0"}),
    Mutation("TLS of the last century to read mail", ("tls.versions",), port="993",
             replace={DOVECOT: (f"ssl_min_protocol = TLSv1.2\n{OWN_SUITES}",
                                "ssl_min_protocol = TLSv1\nssl_cipher_list = ALL:@SECLEVEL=0")}),
    Mutation("suites with SHA-1 to read mail", ("tls.mozilla-intermediate",), port="993",
             replace={DOVECOT: (OWN_SUITES, "ssl_cipher_list = HIGH:!aNULL")}),
    Mutation("anonymous suites", ("tls.internet-nl",),
             main={"smtpd_tls_exclude_ciphers": "", "mailctl_tls_cipherlist": "HIGH:MEDIUM:aNULL"}),
    Mutation("suites with SHA-1", ("tls.internet-nl",), main={"mailctl_tls_cipherlist": "HIGH:!aNULL"}),
    Mutation("the client chooses the suite", ("tls.order",),
             main={"tls_preempt_cipherlist": "no", "mailctl_tls_cipherlist": "HIGH:!aNULL"}),
    Mutation("the longest key first", ("tls.order",),
             main={"mailctl_tls_cipherlist": "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH"}),
    Mutation("renegotiation", ("tls.renegotiation",), main={"tls_ssl_options": "0x100"}),
    Mutation("keys of any handshake", ("tls.master-secret",), main={"tls_ssl_options": "0x1"}),
    Mutation("small curves", ("tls.curves",), main={"tls_eecdh_auto_curves": "secp224r1 prime256v1"}),
    Mutation("expired", ("tls.certificate",), certificate="expired"),
    Mutation("another name", ("tls.certificate",), certificate="another-name"),
    Mutation("weak key", ("tls.key",), certificate="weak"),
    Mutation("VRFY", ("enumeration.vrfy",), main={"disable_vrfy_command": "no"}),
    Mutation("talkative banner", ("enumeration.banner",), main={"smtpd_banner": "$myhostname ESMTP $mail_name 3.7.11"}),
    Mutation("no HELO", ("enumeration.helo-required",), main={"smtpd_helo_required": "no"}),
    Mutation("no aliases", ("delivery.classes",), main={"virtual_alias_maps": ""}),
    Mutation("mail is thrown away", ("delivery.mailbox",), main={"virtual_transport": "discard"}),
    Mutation("no signer", ("signing.leaves-signed", "signing.asked"), main={"smtpd_milters": ""}),
    Mutation("a signer that forgot a domain", ("signing.leaves-signed", "signing.signer"),
             replace={"/etc/opendkim/SigningTable": ("example.net", "example.com")}),
    Mutation("a signer that goes by From", ("signing.own-domain", "signing.signer-own-domain"),
             replace={"/etc/opendkim.conf": ("SenderMacro {mail_addr}", "")}),
    Mutation("a signer that learns no sender", ("signing.own-domain", "signing.signer-own-domain"),
             options={"milter_mail_macros": "i"}),
    Mutation("a signer that trusts everybody", ("signing.strangers", "signing.signer-strangers"),
             replace={"/etc/opendkim/TrustedHosts": ("127.0.0.0/8", "0.0.0.0/0\n::/0\n127.0.0.0/8")}),
    Mutation("a signer that may be missing", ("closed.signer", "signing.asked"),
             replace={"/etc/postfix/main.cf": ("default_action=tempfail", "default_action=accept")}),
    Mutation("open without Dovecot", ("closed.dovecot",),
             options={**OPEN, **LOGINS_OPEN, "smtpd_sasl_auth_enable": "no"}),
    Mutation("impatient queue", ("closed.lmtp",),
             main={"maximal_queue_lifetime": "0", "bounce_queue_lifetime": "0"}),
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(
    require_root: None, require_tools: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProbeLab]:
    require_tools("postfix", "dovecot", "opendkim", "openssl")
    with started_lab("probe-mutations", tmp_path_factory.mktemp("spec")) as started:
        yield started


def test_every_check_has_been_seen_to_fail() -> None:
    broken = {name for mutation in MUTATIONS for name in mutation.fails} | set(FAULTS)
    assert broken == {check.name for check in select_checks()}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_broken_server_is_found(lab: ProbeLab, mutation: Mutation) -> None:
    mutation.apply(lab)
    for _ in range(TRIES):
        report = lab.probe(*mutation.fails)
        found = {name: report.result(name) for name in mutation.fails}
        if {result.verdict for result in found.values()} == {Verdict.FAIL}:
            break
    assert [name for name, result in found.items() if result.verdict is not Verdict.FAIL] == []
    if mutation.port:
        where = {outcome.where.split()[0] for result in found.values() for outcome in result.decisive}
        assert where == {mutation.port}
    # For the right reason: not because the dialogue broke down before it came to the point.
    notes = [outcome.note for result in found.values() for outcome in result.decisive]
    assert [note for note in notes if BROKE_DOWN.search(note)] == []


def test_a_short_rsa_key_is_a_warning(lab: ProbeLab) -> None:
    Mutation("RSA", (), certificate="rsa").apply(lab)
    result = lab.probe("tls.key").result("tls.key")
    assert result.verdict is Verdict.WARN
    assert "RSA with 2048 bits is to be phased out" in result.decisive[0].note
