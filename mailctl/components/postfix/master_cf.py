"""What the template of master.cf shows; master(5)."""

from __future__ import annotations

from dataclasses import dataclass

from mailctl.components.postfix.routing import SMTPS_TRANSPORT, uses_wrapped_hops
from mailctl.components.postfix.tls import tls_server
from mailctl.spec.choices import Role
from mailctl.spec.derive import signs, takes_logins
from mailctl.spec.model import Spec

# Not `localhost`: where /etc/hosts names ::1 and IPv6 is switched off, the master would refuse to start.
LOOPBACK_SMTP = "127.0.0.1:smtp"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the escape hatch: `name type`, and the rest of its line as in `postconf -M`."""

    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class MasterCf:
    """master.cf."""

    smtp: str
    cipher_list: str
    takes_logins: bool
    signs: bool
    wrapped_transport: str
    extra: tuple[Service, ...]

    @classmethod
    def from_spec(cls, spec: Spec) -> MasterCf:
        return cls(
            smtp=LOOPBACK_SMTP if spec.server.role is Role.SEND_ONLY else "smtp",
            cipher_list=tls_server(spec.tls.profile).cipher_list_parameter,
            takes_logins=takes_logins(spec),
            signs=signs(spec),
            wrapped_transport=SMTPS_TRANSPORT if uses_wrapped_hops(spec) else "",
            extra=tuple(Service(key.replace("/", " "), rest) for key, rest in sorted(spec.postfix.master.items())),
        )
