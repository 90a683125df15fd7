"""What differs from the last look: a small file remembers which verdicts there were."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailctl.dns.verdict import Level, Verdict
from mailctl.host import Host, create_whole
from mailctl.target import Target

VERSION = 1
MODE = 0o644

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Changes:
    """Verdicts that are new, and keys (domain, check, name) of those that are gone."""

    appeared: tuple[Verdict, ...]
    gone: tuple[Key, ...]

    def __bool__(self) -> bool:
        return bool(self.appeared or self.gone)


def state_path(target: Target) -> PurePosixPath:
    return target.state_dir / "dns-check.json"


def take_changes(host: Host, target: Target, verdicts: Iterable[Verdict]) -> Changes:
    """The changes since the last call, which the next one no longer sees. The first time everything is new.

    Where something is unknown, what was found before may still be so: it is remembered, neither new nor gone.
    """
    now = {verdict.key: verdict for verdict in verdicts}
    unknown = {verdict.domain for verdict in now.values() if verdict.level is Level.UNKNOWN}
    before = _read(host, state_path(target))
    kept = {key for key in before - now.keys() if key[0] in unknown}
    changes = Changes(
        tuple(verdict for key, verdict in now.items() if key not in before),
        tuple(sorted(before - now.keys() - kept)),
    )
    if changes:
        host.make_directory(target.state_dir)
        content = json.dumps({"version": VERSION, "verdicts": sorted(now.keys() | kept)}, indent=1)
        create_whole(host, state_path(target), content.encode(), MODE)
    return changes


def _read(host: Host, path: PurePosixPath) -> set[Key]:
    """The keys the file holds; a file that cannot be read as one is as good as none."""
    content = host.read(path)
    if content is None:
        return set()
    try:
        state = json.loads(content)
        return {(domain, check, name) for domain, check, name in state["verdicts"]}
    except (ValueError, KeyError, TypeError):
        return set()
