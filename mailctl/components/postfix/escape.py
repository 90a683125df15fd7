"""The escape hatch `postfix:`: what it may not touch, and what of it can be checked without Postfix."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from mailctl.components.postfix.restrictions import restriction_problems
from mailctl.components.postfix.settings import HatchSetting, hatch_settings, unreadable_options
from mailctl.errors import Problem
from mailctl.spec.derive import signs
from mailctl.spec.model import Spec

# Parameters a spec key decides, whether or not this spec needs them.
SPEC_KEYS = {
    "alias_maps": "local_aliases",
    "default_transport": "routes",
    "local_recipient_maps": "local_aliases",
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
    "tls_high_cipherlist": "tls.profile",
    "tls_medium_cipherlist": "tls.profile",
    "tls_server_sni_maps": "tls.sni",
    "transport_maps": "routes",
    "virtual_alias_domains": "domains",
    "virtual_alias_maps": "domains.*.aliases",
    "virtual_mailbox_domains": "domains",
    "virtual_mailbox_maps": "domains.*.mailboxes",
    "virtual_transport": "server.role",
}
# Free for another filter as long as no domain is signed here.
MILTERS = ("smtpd_milters", "non_smtpd_milters", "milter_protocol", "smtpd_milter_maps")
FORGED_CLIENT = "who may use it can claim a trusted address or a login, and relay"
RUNS_COMMANDS = "mail could run commands or write files on this server"
PROGRAMS = "Postfix runs programs, keeps its state or stores mail there"
ENVIRONMENT = "it changes what the programs of Postfix run and trust"
# Not rendered, and never to be: what they open is not what a spec is for.
UNSAFE = {
    "allow_mail_to_commands": RUNS_COMMANDS,
    "allow_mail_to_files": RUNS_COMMANDS,
    "alternate_config_directories": PROGRAMS,
    "command_expansion_filter": RUNS_COMMANDS,
    "config_directory": "mailctl finds its files there",
    "debugger_command": "it runs a command beside every daemon",
    "default_privs": "local deliveries would run as another user",
    "execution_directory_expansion_filter": RUNS_COMMANDS,
    "export_environment": ENVIRONMENT,
    "forward_expansion_filter": RUNS_COMMANDS,
    "import_environment": ENVIRONMENT,
    "mail_name": "submitted mail would show where its sender is: the Received line is known by this name",
    "mail_owner": "the files mailctl writes belong to the user Postfix was installed with",
    "mailbox_command": RUNS_COMMANDS,
    "mailbox_command_maps": RUNS_COMMANDS,
    "maillog_file": "postlogd can block the whole server; log to syslog",
    "multi_instance_directories": "mailctl manages one Postfix",
    "multi_instance_enable": "mailctl manages one Postfix",
    "multi_instance_wrapper": "it runs another program in place of Postfix",
    "qmqpd_authorized_clients": "who is named there may send as anybody to anywhere; use server.trusted_networks",
    "queue_directory": "sockets and mail lie there",
    "receive_override_options": "mail would get past the signer, or past the check of who exists here",
    "setgid_group": "the files mailctl writes belong to the group Postfix was installed with",
    "smtpd_authorized_xclient_hosts": FORGED_CLIENT,
    "smtpd_authorized_xforward_hosts": "who may use it can hide where mail comes from",
    "smtpd_command_filter": "it rewrites what clients say before it is checked",
    "smtpd_end_of_data_restrictions": "it is unsafe with the Postfix of Debian 12",
    "smtpd_proxy_filter": "it is unsafe with the Postfix of Debian 12",
    "smtpd_reject_unlisted_recipient": "mail to unknown addresses would be taken, and bounced to forged senders",
    "smtpd_upstream_proxy_protocol": FORGED_CLIENT,
    "soft_bounce": "mailctl sets it while an apply waits for its confirmation",
}
SIGNING_HINT = "set domains.*.dkim instead; without signing the parameter is yours"
FIXED_HINT = "it has one value on every server of mailctl; docs/components/postfix.md says why"
OWN_PREFIX = "mailctl_"
SERVICE_FIELDS = 6  # private unprivileged chroot wakeup maxproc command
SERVICE_TYPES = ("inet", "unix", "unix-dgram", "fifo", "pass")


def problems(spec: Spec, rendered: Collection[str], services: Collection[str]) -> list[Problem]:
    """What of `postfix:` repeats or breaks what mailctl renders: parameter names, and services as `name/type`."""
    unreadable = list(_service_problems(spec, services))
    settings = hatch_settings(spec, with_services=not unreadable)
    refused = [*unreadable, *_setting_problems(spec, rendered, settings)]
    if refused:
        return refused
    return [*_option_problems(spec), *restriction_problems(settings)]


def _setting_problems(spec: Spec, rendered: Collection[str], settings: Iterable[HatchSetting]) -> Iterator[Problem]:
    for setting in settings:
        name = setting.name
        if reason := _unsafe_reason(name):
            yield setting.problem(f"{name} cannot be set", reason)
        elif name in SPEC_KEYS:
            yield setting.problem(f"{name} is managed by mailctl", f"set {SPEC_KEYS[name]} instead")
        elif name in rendered or name.startswith(OWN_PREFIX) or (name in MILTERS and signs(spec)):
            hint = SIGNING_HINT if name in MILTERS else FIXED_HINT
            yield setting.problem(f"{name} is managed by mailctl", hint)


def _unsafe_reason(name: str) -> str:
    return UNSAFE.get(name) or (PROGRAMS if name.endswith("_directory") else "")


def _option_problems(spec: Spec) -> Iterator[Problem]:
    for key, rest in spec.postfix.master.items():
        for option in unreadable_options(rest):
            origin = spec.origins.find_key(("postfix", "master", key))
            message = f"the option {option!r} is not allowed"
            yield Problem(origin, f"postfix.master.{key}", message, hint="write `-o name=value`, or `-v` to log more")


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
