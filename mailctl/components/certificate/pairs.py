"""What is wrong with the certificates of a spec: Postfix and Dovecot start with a bad one and then fail each client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.components.tls_files import certificate_paths
from mailctl.errors import Origin, Problem, Severity
from mailctl.host import Host
from mailctl.spec.model import Spec
from mailctl.target import Target

DAY = 86_400
WARN_DAYS = 14
SELF_SIGNED_HINT = "remove {folder} and apply again for a new one"


@dataclass(frozen=True, slots=True)
class NamedPair:
    """A certificate and its key, the name clients expect in it, and the spec value they come from."""

    certificate: PurePosixPath
    key: PurePosixPath
    hostname: str
    path: tuple[str, ...]
    is_self_signed: bool = False


def check_pairs(host: Host, spec: Spec, target: Target) -> list[Problem]:
    """Problems of every pair. A self-signed one that is old or misnamed is a warning: no client checks it."""
    return [problem for pair in _pairs(spec, target) for problem in _Check(host, pair, spec).problems()]


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

    def problems(self) -> Iterator[Problem]:
        certificate = self._openssl("x509", self.pair.certificate, "-noout", "-pubkey")
        # An empty pass phrase: a protected key fails at once instead of asking on the terminal.
        key = self._openssl("pkey", self.pair.key, "-pubout", "-passin", "pass:")
        if certificate is None:
            yield self._error(f"no certificate can be read from {self.pair.certificate}", "a PEM file, leaf first")
        if key is None:
            yield self._error(f"no private key can be read from {self.pair.key}", "a PEM file without a pass phrase")
        elif self._is_exposed():
            yield self._warning(f"everybody can read the private key {self.pair.key}", f"chmod 0600 {self.pair.key}")
        if certificate is None:
            return
        if key is not None and certificate != key:
            yield self._error(f"the key {self.pair.key} does not belong to the certificate {self.pair.certificate}")
        yield from self._date_problems()
        yield from self._name_problems()

    def _date_problems(self) -> Iterator[Problem]:
        if self._openssl("x509", self.pair.certificate, "-noout", "-checkend", "0") is None:
            yield self._weak(f"the certificate {self.pair.certificate} has expired", "renew it")
        elif self._openssl("x509", self.pair.certificate, "-noout", "-checkend", str(WARN_DAYS * DAY)) is None:
            message = f"the certificate {self.pair.certificate} expires in less than {WARN_DAYS} days"
            yield self._warning(message, self._hint("renew it"))

    def _name_problems(self) -> Iterator[Problem]:
        answer = self._openssl("x509", self.pair.certificate, "-noout", "-checkhost", self.pair.hostname)
        # OpenSSL 3.0 says it on stdout and exits with 0.
        if answer is None or b"does NOT match" in answer:
            yield self._weak(
                f"the certificate {self.pair.certificate} is not for {self.pair.hostname}", "get one with that name"
            )

    def _openssl(self, command: str, file: PurePosixPath, *options: str) -> bytes | None:
        done = self.host.run(["openssl", command, "-in", self.host.path(file), *options])
        return done.stdout if done.returncode == 0 else None

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
