"""The escape hatch `postfix:`: what it may not touch, and what of it can be checked without Postfix."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from mailctl.errors import Problem
from mailctl.spec.model import Spec

# Parameters a spec key decides, whether or not this spec needs them.
SPEC_KEYS = {
    "alias_maps": "local_aliases",
    "default_transport": "routes",
    "message_size_limit": "server.message_size",
    "mydestination": "domains",
    "myhostname": "server.hostname",
    "mynetworks": "server.trusted_networks",
    "relay_domains": "domains, with server.role: backup-mx",
    "relay_recipient_maps": "domains, with server.role: backup-mx",
    "relayhost": "routes",
    "sender_dependent_default_transport_maps": "routes",
    "sender_dependent_relayhost_maps": "routes",
    "smtp_dns_support_level": "tls.outbound",
    "smtp_sasl_auth_enable": "relays",
    "smtp_sasl_password_maps": "relays",
    "smtp_sasl_security_options": "relays",
    "smtp_sasl_tls_security_options": "relays",
    "smtp_sender_dependent_authentication": "relays",
    "smtp_tls_policy_maps": "tls.policies",
    "smtp_tls_security_level": "tls.outbound",
    "smtpd_sasl_auth_enable": "domains.*.mailboxes",
    "smtpd_sasl_path": "domains.*.mailboxes",
    "smtpd_sasl_type": "domains.*.mailboxes",
    "smtpd_sender_login_maps": "domains.*.mailboxes.*.send_as",
    "smtpd_tls_cert_file": "tls.certificate",
    "smtpd_tls_chain_files": "tls.certificate and tls.key",
    "smtpd_tls_key_file": "tls.key",
    "smtpd_tls_mandatory_protocols": "tls.profile",
    "smtpd_tls_protocols": "tls.profile",
    "tls_server_sni_maps": "tls.sni",
    "transport_maps": "routes",
    "virtual_alias_domains": "domains",
    "virtual_alias_maps": "domains.*.aliases",
    "virtual_mailbox_domains": "domains",
    "virtual_mailbox_maps": "domains.*.mailboxes",
    "virtual_transport": "server.role",
}
# Free for another filter as long as no domain is signed here.
MILTERS = ("smtpd_milters", "non_smtpd_milters", "milter_protocol")
# Not rendered, and never to be: what they open is not what a spec is for.
UNSAFE = {
    "config_directory": "mailctl finds its files there",
    "default_privs": "local deliveries would run as another user",
    "mail_name": "submitted mail would show where its sender is: the Received line is known by this name",
    "maillog_file": "postlogd can block the whole server; log to syslog",
    "queue_directory": "sockets and mail lie there",
    "smtpd_end_of_data_restrictions": "it is unsafe with the Postfix of Debian 12",
    "smtpd_proxy_filter": "it is unsafe with the Postfix of Debian 12",
    "soft_bounce": "mailctl sets it while an apply waits for its confirmation",
}
SIGNING_HINT = "set domains.*.dkim instead; without signing the parameter is yours"
FIXED_HINT = "it has one value on every server of mailctl; docs/components/postfix.md says why"
OWN_PREFIX = "mailctl_"
SERVICE_FIELDS = 6  # private unprivileged chroot wakeup maxproc command
SERVICE_TYPES = ("inet", "unix", "unix-dgram", "fifo", "pass")


def problems(spec: Spec, rendered: Collection[str], services: Collection[str]) -> list[Problem]:
    """What of `postfix:` repeats or breaks what mailctl renders: parameter names, and services as `name/type`."""
    return [*_parameter_problems(spec, rendered), *_service_problems(spec, services)]


def _parameter_problems(spec: Spec, rendered: Collection[str]) -> Iterator[Problem]:
    for name in spec.postfix.main:
        origin = spec.origins.find_key(("postfix", "main", name))
        path = f"postfix.main.{name}"
        if name in UNSAFE:
            yield Problem(origin, path, f"{name} cannot be set", hint=UNSAFE[name])
        elif name in SPEC_KEYS:
            yield Problem(origin, path, f"{name} is managed by mailctl", hint=f"set {SPEC_KEYS[name]} instead")
        elif name in rendered or name.startswith(OWN_PREFIX):
            hint = SIGNING_HINT if name in MILTERS else FIXED_HINT
            yield Problem(origin, path, f"{name} is managed by mailctl", hint=hint)


def _service_problems(spec: Spec, services: Collection[str]) -> Iterator[Problem]:
    for key, rest in spec.postfix.master.items():
        origin = spec.origins.find_key(("postfix", "master", key))
        path = f"postfix.master.{key}"
        if not re.fullmatch(rf"[^\s/#]+/(?:{'|'.join(SERVICE_TYPES)})", key):
            types = ", ".join(SERVICE_TYPES)
            yield Problem(
                origin, path, f"{key!r} is not name/type", hint=f"write it as in `postconf -M`; types: {types}"
            )
        elif key in services:
            yield Problem(origin, path, f"the service {key} is managed by mailctl", hint="give yours another name")
        elif len(rest.split()) < SERVICE_FIELDS:
            hint = "private, unprivileged, chroot, wakeup, maxproc, command: '- - n - - smtp -o syslog_name=postfix/x'"
            yield Problem(origin, path, f"{rest!r} has fewer than {SERVICE_FIELDS} fields", hint=hint)
