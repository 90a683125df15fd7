"""What is wrong with the certificates of a spec: Postfix and Dovecot start with a bad one and then fail each client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from mailctl.components.certificate.facts import Facts, read_facts
from mailctl.components.tls_files import certificate_paths
from mailctl.errors import Origin, Problem, Severity
from mailctl.host import Completed, Host
from mailctl.spec.model import Spec
from mailctl.target import Target

WARN_DAYS = 14
# What OpenSSL takes at the security level of Debian 12; a shorter key fails every handshake.
BROKEN_HASHES = re.compile("sha1|md5", re.IGNORECASE)
SHORTEST_KEYS = {"RSA": 2048, "EC": 224}
# What the system says of a file, and what to do.
UNREADABLE = {
    "no such file or directory": "is the path right, and was the certificate ever fetched?",
    "permission denied": "run it with sudo",
}
SELF_SIGNED_HINT = "remove {folder} and apply again for a new one"


@dataclass(frozen=True, slots=True)
class NamedPair:
    """A certificate and its key, the name clients expect in it, and the spec value they come from."""

    certificate: PurePosixPath
    key: PurePosixPath
    hostname: str
    path: tuple[str, ...]
    is_self_signed: bool = False


@dataclass(frozen=True, slots=True)
class PairReport:
    """One pair: what its certificate holds, None where none can be read, and what is wrong with it."""

    pair: NamedPair
    facts: Facts | None
    problems: tuple[Problem, ...]


def check_pairs(host: Host, spec: Spec, target: Target) -> list[Problem]:
    """Problems of every pair. A self-signed one that is old or misnamed is a warning: no client checks it."""
    return [problem for report in report_pairs(host, spec, target) for problem in report.problems]


def report_pairs(host: Host, spec: Spec, target: Target) -> list[PairReport]:
    """Every pair of the spec, the server's own first."""
    found = []
    for pair in _pairs(spec, target):
        facts = read_facts(host, pair.certificate)
        found.append(PairReport(pair, facts, tuple(_Check(host, pair, spec, facts).problems())))
    return found


def trust_problem(host: Host, spec: Spec, target: Target, report: PairReport) -> Problem | None:
    """A warning where the chain leads to no authority this machine trusts; mail servers rarely mind, programs do."""
    file = host.path(report.pair.certificate)
    done = host.run(
        ["openssl", "verify", "-no_check_time", "-CAfile", host.path(target.ca_file), "-untrusted", file, file]
    )
    if done.returncode == 0 or report.pair.is_self_signed or report.facts is None:
        return None
    message = f"the chain of {report.pair.certificate} leads to no authority this machine trusts"
    hint = "add the intermediate certificates after the server's own, in order"
    origin = spec.origin(*report.pair.path)
    return Problem(origin, ".".join(report.pair.path), message, hint, Severity.WARNING)


def _pairs(spec: Spec, target: Target) -> Iterator[NamedPair]:
    own = certificate_paths(spec, target)
    path = ("tls", "self_signed") if spec.tls.self_signed else ("tls", "certificate")
    yield NamedPair(own.certificate, own.key, spec.server.hostname, path, spec.tls.self_signed)
    for name, pair in spec.tls.sni.items():
        yield NamedPair(pair.certificate, pair.key, name, ("tls", "sni", name))


@dataclass(frozen=True, slots=True)
class _Check:
    host: Host
    pair: NamedPair
    spec: Spec
    facts: Facts | None

    def problems(self) -> Iterator[Problem]:
        if self.pair.is_self_signed and not self._is_made():
            yield self._warning(f"the certificate {self.pair.certificate} is not made yet", "an apply makes it")
            return
        certificate = self._openssl("x509", self.pair.certificate, "-noout", "-pubkey")
        # An empty pass phrase: a protected key fails at once instead of asking on the terminal.
        key = self._openssl("pkey", self.pair.key, "-pubout", "-passin", "pass:")
        if certificate.returncode:
            yield self._unread("certificate", self.pair.certificate, certificate, "a PEM file, leaf first")
        if key.returncode:
            yield self._unread("private key", self.pair.key, key, "a PEM file without a pass phrase")
        elif self._is_exposed():
            yield self._warning(f"everybody can read the private key {self.pair.key}", f"chmod 0600 {self.pair.key}")
        if certificate.returncode or self.facts is None:
            return
        if key.returncode == 0 and certificate.stdout != key.stdout:
            yield self._error(f"the key {self.pair.key} does not belong to the certificate {self.pair.certificate}")
        yield from self._date_problems(self.facts)
        yield from self._name_problems()
        yield from self._key_problems(self.facts)
        yield from self._chain_problems(self.facts)

    def _unread(self, what: str, file: PurePosixPath, done: Completed, form: str) -> Problem:
        """Why openssl got nothing from a file: what the system said, else its content is not of this `form`."""
        reason = next((reason for reason in UNREADABLE if reason in done.complaint.lower()), "")
        message = f"no {what} can be read from {file}{': ' if reason else ''}{reason}"
        return self._error(message, UNREADABLE.get(reason, form))

    def _date_problems(self, facts: Facts) -> Iterator[Problem]:
        now = datetime.now(UTC)
        if facts.not_before > now:
            yield self._weak(f"the certificate {self.pair.certificate} is not valid yet", "is the clock right?")
        elif facts.not_after <= now:
            yield self._weak(f"the certificate {self.pair.certificate} has expired", "renew it")
        elif facts.not_after <= now + timedelta(days=WARN_DAYS):
            message = f"the certificate {self.pair.certificate} expires in less than {WARN_DAYS} days"
            yield self._warning(message, self._hint("renew it"))

    def _key_problems(self, facts: Facts) -> Iterator[Problem]:
        shortest = SHORTEST_KEYS.get(facts.algorithm, 0)
        if facts.bits < shortest:
            message = f"the key of {self.pair.certificate} is too short: {facts.key} bits"
            yield self._error(message, f"clients refuse {facts.algorithm} keys below {shortest} bits; make a new one")
        if BROKEN_HASHES.search(facts.signature):
            message = f"the certificate {self.pair.certificate} is signed with {facts.signature}"
            yield self._error(message, "clients refuse it; get one signed with SHA-256")

    def _chain_problems(self, facts: Facts) -> Iterator[Problem]:
        """Each certificate is issued by the next one, RFC 5246 section 7.4.2; not every client sorts them."""
        for number, ((_, issuer), (subject, _)) in enumerate(zip(facts.chain, facts.chain[1:], strict=False), 1):
            if issuer != subject:
                message = (
                    f"the chain {self.pair.certificate} is out of order: number {number + 1} did not issue {number}"
                )
                yield self._error(message, "first the server's certificate, then each one's issuer")
                return

    def _name_problems(self) -> Iterator[Problem]:
        answer = self._openssl("x509", self.pair.certificate, "-noout", "-checkhost", self.pair.hostname)
        # OpenSSL 3.0 says it on stdout and exits with 0.
        if answer.returncode or b"does NOT match" in answer.stdout:
            yield self._weak(
                f"the certificate {self.pair.certificate} is not for {self.pair.hostname}", "get one with that name"
            )

    def _openssl(self, command: str, file: PurePosixPath, *options: str) -> Completed:
        return self.host.run(["openssl", command, "-in", self.host.path(file), *options])

    def _is_made(self) -> bool:
        return any(self.host.stat(file) is not None for file in (self.pair.certificate, self.pair.key))

    def _is_exposed(self) -> bool:
        done = self.host.run(["stat", "-L", "-c", "%a", "--", self.host.path(self.pair.key)])
        return done.returncode == 0 and int(done.stdout, 8) & 0o004 != 0

    def _hint(self, hint: str) -> str:
        return SELF_SIGNED_HINT.format(folder=self.pair.certificate.parent) if self.pair.is_self_signed else hint

    def _weak(self, message: str, hint: str) -> Problem:
        make = self._warning if self.pair.is_self_signed else self._error
        return make(message, self._hint(hint))

    def _error(self, message: str, hint: str = "") -> Problem:
        return Problem(self._origin(), ".".join(self.pair.path), message, hint)

    def _warning(self, message: str, hint: str) -> Problem:
        return Problem(self._origin(), ".".join(self.pair.path), message, hint, Severity.WARNING)

    def _origin(self) -> Origin:
        return self.spec.origin(*self.pair.path)
