"""Family identity, from within: what the running server's own tables say of who owns which address; no login needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from mailctl.probe.arena import Arena, ServerSide
from mailctl.probe.check import Attempt, CannotTellError, Check, RefutedError
from mailctl.probe.dialogue import Transcript
from mailctl.spec.derive import logins, sender_owners, takes_logins
from mailctl.spec.model import Spec

REMEDY = "run `mailctl apply`: smtpd_sender_login_maps or the restrictions of submission are not those of the spec"
SERVICES = ("submission", "submissions")
GUARD = "reject_sender_login_mismatch"
_SEPARATOR = re.compile(r"[,\s]+")


def checks() -> tuple[Check, ...]:
    return (
        Check("identity.tables", "the server's tables give addresses to their owners only", REMEDY, _attempts, True),
    )


def _attempts(arena: Arena) -> Iterator[Attempt]:
    if arena.spec is None or arena.server is None:
        raise CannotTellError("made on the server itself only")
    if not takes_logins(arena.spec):
        raise CannotTellError("nobody logs in here")
    yield Attempt("smtpd_sender_login_maps", partial(_compare, arena.server, arena.spec))
    for service in SERVICES:
        yield Attempt(service, partial(_is_guarded, arena.server, service))


def _compare(server: ServerSide, spec: Spec, transcript: Transcript) -> None:
    expected = {address: set(owners) for address, owners in sender_owners(spec).items()}
    users = {login.address for login in logins(spec)}
    maps = _SEPARATOR.split(_run(server, ["postconf", "-hx", "smtpd_sender_login_maps"]).strip())
    transcript.append(f"-- {len(expected)} addresses in {', '.join(maps)}")
    found = _look_up(server, maps, expected)
    for address, owners in expected.items():
        # Owners that are no logins let nobody in.
        if (seen := found.get(address, set()) & users) != owners:
            raise RefutedError(f"<{address}> belongs to {_list(seen)}, not to {_list(owners)}")


def _look_up(server: ServerSide, maps: Iterable[str], addresses: Iterable[str]) -> Mapping[str, set[str]]:
    """What the first map that knows an address says of it, as smtpd does; postmap(1)."""
    asked = "".join(f"{address}\n" for address in addresses).encode()
    found: dict[str, set[str]] = {}
    for each in maps:
        for line in _run(server, ["postmap", "-q", "-", each], asked, codes=(0, 1)).splitlines():
            address, _, owners = line.partition("\t")
            found.setdefault(address, set(_SEPARATOR.split(owners.strip())))
    return found


def _is_guarded(server: ServerSide, service: str, transcript: Transcript) -> None:
    line = _run(server, ["postconf", "-Px", f"{service}/inet/smtpd_sender_restrictions"]).strip()
    transcript.append(f"-- {line}")
    if GUARD not in _SEPARATOR.split(line):
        raise RefutedError(f"{service} lacks {GUARD}")


def _run(server: ServerSide, argv: list[str], stdin: bytes = b"", codes: tuple[int, ...] = (0,)) -> str:
    done = server.run(argv, stdin=stdin)
    if done.returncode not in codes:
        raise RefutedError(f"{argv[0]}: {done.complaint}")
    return done.stdout.decode(errors="replace")


def _list(addresses: set[str]) -> str:
    return ", ".join(sorted(addresses)) or "nobody"
