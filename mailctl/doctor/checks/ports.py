"""Whether every port the spec's role opens answers, with TLS where there must be some."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.doctor.handshake import Port, served_certificate
from mailctl.doctor.model import Finding, Patient, fail, ok
from mailctl.errors import UnfitError
from mailctl.spec.derive import hosts_mail, takes_logins
from mailctl.spec.model import Spec

SMTP = Port(25, "smtp", "smtp")
SUBMISSION = Port(587, "submission", "smtp")
SUBMISSIONS = Port(465, "submissions")
IMAPS = Port(993, "imaps")
GREETING_SECONDS = 5.0


def look(patient: Patient, spec: Spec) -> Iterator[Finding]:
    ports = open_ports(spec)
    silent = [finding for port in ports for finding in _problems(patient, spec, port)]
    yield from silent
    if not silent:
        yield ok("ports", f"{', '.join(str(port.number) for port in ports)} answer with TLS")


def open_ports(spec: Spec) -> tuple[Port, ...]:
    """The ports that serve under this spec."""
    logins = (SUBMISSION, SUBMISSIONS) if takes_logins(spec) else ()
    return (SMTP, *logins, *((IMAPS,) if hosts_mail(spec) and logins else ()))


def _problems(patient: Patient, spec: Spec, port: Port) -> Iterator[Finding]:
    name = f"port {port.number}"
    if port.starttls and not patient.host.greeting(port.number, GREETING_SECONDS).startswith(b"220"):
        yield fail(name, f"port {port.number} ({port.service}) does not greet", _remedy(port))
        return
    try:
        served = served_certificate(patient.host, port, spec.server.hostname)
    except UnfitError:
        served = None
    if served is None:
        yield fail(name, f"port {port.number} ({port.service}) makes no TLS handshake", _remedy(port))


def _remedy(port: Port) -> str:
    return f"mailctl status; ss -ltnp 'sport = :{port.number}'; the mail log says why"
