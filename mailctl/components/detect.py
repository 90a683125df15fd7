"""Which versions and table types the host has; what cannot be asked falls back to Debian 12's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mailctl.errors import UnfitError
from mailctl.host import Host
from mailctl.target import DEBIAN_12, TableType, Target, Version


@dataclass(frozen=True, slots=True)
class Detected:
    """A target, and what had to be assumed about it."""

    target: Target
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """How to ask a service for its version, and the first and last series mailctl renders for."""

    name: str
    argv: tuple[str, ...]
    field: str
    first: Version
    last: Version


SERVICES = (
    Service("Postfix", ("postconf", "-d", "-h", "mail_version"), "postfix_version", (3, 7), (3, 11)),
    Service("Dovecot", ("dovecot", "--version"), "dovecot_version", (2, 3), (2, 3)),
    Service("OpenDKIM", ("opendkim", "-V"), "opendkim_version", (2, 11), (2, 11)),
)


def read_target(host: Host) -> Detected:
    """The target as the host's own programs describe it.

    Raises:
        UnfitError: a service has a version mailctl does not render for.
    """
    if not host.is_live():
        return Detected(DEBIAN_12, ("--root: versions and table types are Debian 12's, nothing was asked",))
    versions: dict[str, Version] = {}
    missing: list[str] = []
    for service in SERVICES:
        if host.find_program(service.argv[0]) is None:
            missing.append(service.name)
        else:
            versions[service.field] = _read_version(host, service)
    table_type = DEBIAN_12.table_type if "Postfix" in missing else _best_table_type(host)
    target = replace(DEBIAN_12, table_type=table_type, **versions)  # type: ignore[arg-type]
    return Detected(target, tuple(_assumed(missing)))


def _read_version(host: Host, service: Service) -> Version:
    done = host.run(service.argv, timeout=10)
    # opendkim -V writes to stderr.
    match = re.search(rb"(\d+)\.(\d+)", done.stdout + done.stderr)
    if match is None:
        raise UnfitError(f"cannot read the version of {service.name} from `{' '.join(service.argv)}`")
    version = (int(match[1]), int(match[2]))
    if not service.first <= version <= service.last:
        known = (
            _series(service.first)
            if service.first == service.last
            else f"{_series(service.first)} to {_series(service.last)}"
        )
        raise UnfitError(f"{service.name} {_series(version)} is not known to mailctl, which renders for {known}")
    return version


def _best_table_type(host: Host) -> TableType:
    offered = host.run(("postconf", "-m"), timeout=10).stdout.decode().split()
    found = next((each for each in TableType if each in offered), None)
    if found is None:
        raise UnfitError("Postfix offers none of cdb, lmdb, hash", hint="apt-get install postfix-cdb")
    return found


def _assumed(missing: Iterable[str]) -> Iterable[str]:
    for name in missing:
        yield f"{name} is not installed: rendered for Debian 12's version, its own checks are skipped"


def _series(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
