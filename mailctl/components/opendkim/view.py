"""What the templates of OpenDKIM show: ready strings, worked out from the spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.dkim.key_table import key_table
from mailctl.dkim.keys import signing_keys
from mailctl.spec.model import Spec
from mailctl.target import Target

LOOPBACK = ("127.0.0.0/8", "::1")
PID_FILE = PurePosixPath("/run/opendkim/opendkim.pid")  # where Debian's unit expects it


@dataclass(frozen=True, slots=True)
class OpenDkimView:
    """opendkim.conf and the names of its tables."""

    user: str
    socket: str
    pid_file: str
    key_table: str
    signing_table: str
    trusted_hosts: str

    @classmethod
    def from_spec(cls, spec: Spec, target: Target) -> OpenDkimView:
        return cls(
            user=target.opendkim_user,
            socket=str(target.opendkim_socket),
            pid_file=str(PID_FILE),
            key_table=str(key_table(target)),
            signing_table=str(signing_table(target)),
            trusted_hosts=str(trusted_hosts(target)),
        )


@dataclass(frozen=True, slots=True)
class SigningRow:
    """One row of SigningTable; `name` is that of a row in KeyTable: the name of a public key record."""

    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class SigningRows:
    """Which key signs for which domain."""

    rows: tuple[SigningRow, ...]

    @classmethod
    def from_spec(cls, spec: Spec, target: Target) -> SigningRows:
        return cls(tuple(SigningRow(key.domain, key.record_name) for key in signing_keys(spec, target)))


@dataclass(frozen=True, slots=True)
class TrustedHosts:
    """Addresses and networks whose mail is signed without a login."""

    hosts: tuple[str, ...]

    @classmethod
    def from_spec(cls, spec: Spec) -> TrustedHosts:
        # The spec writes IPv6 networks as Postfix does, in brackets.
        return cls(
            (*LOOPBACK, *(network.replace("[", "").replace("]", "") for network in spec.server.trusted_networks))
        )


def signing_table(target: Target) -> PurePosixPath:
    return target.opendkim_dir / "SigningTable"


def trusted_hosts(target: Target) -> PurePosixPath:
    return target.opendkim_dir / "TrustedHosts"
