"""Where each signing key is in its life, kept beside the keys: /etc/dkimkeys/DOMAIN/states.json.

Not part of a generation: which key signs is a fact of the keys and the DNS, and a rollback must not bring back a
key the world no longer knows. A domain without the file never had its key changed: its key signs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from mailctl.dkim.keys import DkimKey, key_of, public_key_record
from mailctl.errors import MailctlError
from mailctl.host import Host, create_whole
from mailctl.target import Target

FORMAT_VERSION = "1"
STATES_MODE = 0o644
REVOKED_RECORD = "v=DKIM1; k=rsa; p="  # RFC 6376 section 3.6.1: an empty p= means that the key was revoked
STAMPS = ("made", "signs", "replaced", "retired", "deleted")
# What may stand in a row of KeyTable; folders and files of other names are not ours.
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


class Stage(StrEnum):
    """The life of a key, in order."""

    PENDING = "pending"  # made; signs once its record is seen at every server of the zone
    SIGNING = "signing"
    REPLACED = "replaced"  # signs no more; its record stays for the mail in flight
    RETIRED = "retired"  # its record is to say so, by an empty p=
    DELETED = "deleted"  # its files are gone; the name is never used again


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key, and when it entered each stage; `replaced_by` is the selector that signs in its place."""

    key: DkimKey
    made: datetime
    signs: datetime | None = None
    replaced: datetime | None = None
    retired: datetime | None = None
    deleted: datetime | None = None
    replaced_by: str = ""

    @property
    def stage(self) -> Stage:
        if self.deleted:
            return Stage.DELETED
        if self.retired:
            return Stage.RETIRED
        if self.replaced:
            return Stage.REPLACED
        return Stage.SIGNING if self.signs else Stage.PENDING

    @property
    def since(self) -> datetime:
        """When it entered its stage."""
        return self.deleted or self.retired or self.replaced or self.signs or self.made


def list_keys(host: Host, target: Target) -> tuple[KeyState, ...]:
    """Every key of every domain, in any stage, oldest first within a domain; the spec is not asked.

    `record_to_publish` says what must stand in the DNS for each.

    Raises:
        MailctlError: a file of states is damaged.
        PermissionError: this user may not look.
    """
    domains = (name for name in host.list_directory(target.dkim_key_dir) if _NAME.fullmatch(name))
    return tuple(state for domain in domains for state in read_states(host, target, domain))


def read_states(host: Host, target: Target, domain: str) -> tuple[KeyState, ...]:
    """The keys of one domain, oldest first.

    Raises: as list_keys does.
    """
    known = {state.key.selector: state for state in _read_file(host, target, domain)}
    for name in host.list_directory(target.dkim_key_dir / domain):
        selector = name.removesuffix(".private")
        if selector != name and selector not in known and _NAME.fullmatch(selector):
            key = key_of(target, domain, selector)
            found = host.stat(key.path)
            made = datetime.fromtimestamp(found.mtime_ns // 10**9 if found else 0, UTC)
            known[selector] = KeyState(key, made, signs=made)
    return tuple(sorted(known.values(), key=lambda state: (state.made, state.key.selector)))


def write_states(host: Host, target: Target, domain: str, states: Iterable[KeyState]) -> None:
    """Keep the states of the keys of one domain, at once."""
    keys = {state.key.selector: _as_json(state) for state in states}
    text = json.dumps({"format_version": FORMAT_VERSION, "keys": keys}, indent=2)
    path = states_path(target, domain)
    host.make_directory(path.parent, 0o750, "root", target.opendkim_user)
    create_whole(host, path, f"{text}\n".encode(), STATES_MODE)


def record_to_publish(host: Host, state: KeyState) -> str | None:
    """The TXT record to publish at `state.key.record_name`: the public key of a key that is pending, signs or was
    replaced, `REVOKED_RECORD` for a retired one; None where nothing needs to stand there any more, or not yet.

    Raises:
        MailctlError: the key cannot be read.
    """
    if state.stage is Stage.RETIRED:
        return REVOKED_RECORD
    if state.stage is Stage.DELETED or host.stat(state.key.path) is None:
        return None
    return public_key_record(host, state.key)


def states_path(target: Target, domain: str) -> PurePosixPath:
    return target.dkim_key_dir / domain / "states.json"


def successor(states: Iterable[KeyState], selector: str) -> str:
    """The selector that signs where `selector` is asked for: itself, or the last of those that replaced it."""
    links = {state.key.selector: state.replaced_by for state in states}
    seen: set[str] = set()
    while links.get(selector) and selector not in seen:
        seen.add(selector)
        selector = links[selector]
    return selector


def current_key(host: Host, target: Target, domain: str, selector: str) -> DkimKey:
    """The key that signs for a domain whose spec names `selector`, whether it exists or not.

    Raises: as list_keys does.
    """
    return key_of(target, domain, successor(read_states(host, target, domain), selector))


def changed(states: Iterable[KeyState], selector: str, **fields: Any) -> tuple[KeyState, ...]:
    """The same states, one of them with other fields."""
    return tuple(replace(each, **fields) if each.key.selector == selector else each for each in states)


def _read_file(host: Host, target: Target, domain: str) -> list[KeyState]:
    path = states_path(target, domain)
    content = host.read(path)
    if content is None:
        return []
    try:
        keys = json.loads(content)["keys"]
        return [_from_json(key_of(target, domain, selector), fields) for selector, fields in keys.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MailctlError(
            f"{path} cannot be read: {error!r}",
            hint="it says which keys were replaced: restore it from a backup; removed, every key counts as signing",
        ) from error


def _from_json(key: DkimKey, fields: dict[str, str]) -> KeyState:
    if not _NAME.fullmatch(key.selector):
        raise ValueError(f"no selector: {key.selector!r}")
    stamps: dict[str, Any] = {name: datetime.fromisoformat(fields[name]) for name in STAMPS if name in fields}
    if any(stamp.tzinfo is None for stamp in stamps.values()):
        raise ValueError("a time without its zone")
    return KeyState(key, replaced_by=str(fields.get("replaced_by", "")), **stamps)


def _as_json(state: KeyState) -> dict[str, str]:
    stamps = {name: getattr(state, name) for name in STAMPS}
    fields = {name: stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for name, stamp in stamps.items() if stamp}
    return fields | ({"replaced_by": state.replaced_by} if state.replaced_by else {})
