"""KeyTable of OpenDKIM: which key file and selector stand behind each name in SigningTable; opendkim.conf(5).

It is made from the keys, not from the spec, and lies beside them, outside generations. SigningTable names the key the
spec names; the row of a key that was replaced leads to the key that signs in its place. So a rotation changes this
file only, and whichever generation serves after a rollback, no row leads to a key that was retired or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import PurePosixPath

from mailctl.dkim.keys import key_of
from mailctl.dkim.states import KeyState, Stage, list_keys, successor
from mailctl.host import Host, create_whole
from mailctl.target import Target

KEY_TABLE_MODE = 0o644
HEADER = "# Written by mailctl from the keys beside it; `mailctl dkim status` explains it.\n"


def key_table(target: Target) -> PurePosixPath:
    return target.dkim_key_dir / "mailctl.KeyTable"


def render_key_table(target: Target, states: Iterable[KeyState]) -> bytes:
    """The table for these keys, those of a domain side by side as list_keys gives them."""
    grouped = groupby(states, key=lambda state: state.key.domain)
    rows = (row for domain, found in grouped for row in _rows(target, domain, tuple(found)))
    return (HEADER + "".join(f"{row}\n" for row in rows)).encode()


def write_key_table(host: Host, target: Target, states: Iterable[KeyState] | None = None) -> bool:
    """Make the table what the keys say (or `states` in their place); True where that changed it."""
    content = render_key_table(target, list_keys(host, target) if states is None else states)
    path = key_table(target)
    if host.read(path) == content:
        return False
    host.make_directory(path.parent)
    create_whole(host, path, content, KEY_TABLE_MODE)
    return True


def _rows(target: Target, domain: str, states: tuple[KeyState, ...]) -> Iterator[str]:
    gone = {state.key.selector for state in states if state.stage is Stage.DELETED}
    for state in states:
        signer = key_of(target, domain, successor(states, state.key.selector))
        if signer.selector not in gone:
            yield f"{state.key.record_name} {domain}:{signer.selector}:{signer.path}"
