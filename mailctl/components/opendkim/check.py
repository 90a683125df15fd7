"""What opendkim -n says of staged files, and what it misses: it never looks at a key."""

from __future__ import annotations

from collections.abc import Iterator

from mailctl.components.base import Staged
from mailctl.components.opendkim.view import signing_table, trusted_hosts
from mailctl.dkim.key_table import key_table
from mailctl.dkim.keys import DkimKey, key_bits, signed_domains
from mailctl.dkim.states import current_key
from mailctl.errors import MailctlError, Origin, Problem, Severity
from mailctl.host import FileState, Host
from mailctl.spec.model import Spec
from mailctl.target import Target

EXPOSED = 0o077  # RequireSafeKeys: nobody but the owner reads or writes a key
WRITTEN_BY_ALL = 0o002


def check_conf(host: Host, target: Target, staged: Staged) -> list[Problem]:
    """Words of opendkim -n, which opens the tables it finds named: here the staged ones."""
    conf = host.read(staged.path(target.opendkim_conf)) or b""
    places = {path: staged.path(path) for path in (signing_table(target), trusted_hosts(target))}
    for path, place in {**places, key_table(target): key_table(target)}.items():
        conf = conf.replace(b"file:%s\n" % bytes(path), b"file:%s\n" % bytes(host.path(place)))
    done = host.run(["opendkim", "-n", "-x", "/dev/stdin"], stdin=conf)
    origin = Origin(str(target.opendkim_conf))
    return [Problem(origin, "", line) for line in done.stderr.decode(errors="replace").splitlines()]


def check_keys(host: Host, spec: Spec, target: Target) -> Iterator[Problem]:
    """Keys OpenDKIM would refuse, with 451 for all mail; those of another length than asked for are kept."""
    for domain, dkim in signed_domains(spec):
        key = current_key(host, target, domain, dkim.selector)
        origin = spec.origin("domains", domain, "dkim")
        path = f"domains.{domain}.dkim"
        for message, hint in refusals(host, target, key):
            yield Problem(origin, path, message, hint)
        if host.stat(key.path) is not None:
            yield from _length_problems(host, key, dkim.bits, origin, path)


def refusals(host: Host, target: Target, key: DkimKey) -> Iterator[tuple[str, str]]:
    """Why OpenDKIM would not sign with `key`, each with its remedy."""
    state = host.stat(key.path)
    if state is None:
        yield f"the key {key.path} does not exist", "apply makes it"
        return
    if state.mode & EXPOSED:
        yield f"others can read the key {key.path}", f"chmod 0600 {key.path}; if they may have read it, make a new one"
    if host.sets_owners() and state.owner != target.opendkim_user:
        yield f"the key {key.path} belongs to {state.owner}", f"chown {target.opendkim_user} {key.path}"
    for parent in key.path.parents:
        if _is_open(host.stat(parent)):
            yield f"everybody can write the folder {parent} of the key", f"chmod o-w {parent}"


def _is_open(folder: FileState | None) -> bool:
    return folder is not None and folder.mode & WRITTEN_BY_ALL != 0


def _length_problems(host: Host, key: DkimKey, bits: int, origin: Origin, path: str) -> Iterator[Problem]:
    try:
        found = key_bits(host, key)
    except MailctlError as error:
        yield Problem(origin, path, error.message, error.hint)
        return
    if found != bits:
        hint = "a new selector makes a new key"
        message = f"the key {key.path} has {found} bits, the spec says {bits}; it is kept"
        yield Problem(origin, f"{path}.bits", message, hint, Severity.WARNING)
