"""Writing generations: staged whole, kept by one rename, pruned with the lookup tables nobody needs any more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from mailctl.host import Host, create_whole
from mailctl.plan.actual import live_tables_dir
from mailctl.plan.model import Plan
from mailctl.plan.stored import (
    ORIGINALS,
    Entry,
    Manifest,
    Meta,
    generation_dir,
    history_dir,
    read_current,
    read_manifest,
    read_meta,
    read_numbers,
    read_original_manifest,
    stored_path,
)
from mailctl.target import Target
from mailctl.tree import RenderedFile

KEPT_GENERATIONS = 10
GONE = ".gone-"
PRIVATE_FILE, PRIVATE_DIRECTORY = 0o600, 0o700


def stage_generation(host: Host, work: PurePosixPath, plan: Plan, meta: Meta, spec_text: bytes, plan_text: str) -> None:
    """Write all of a generation but its lookup tables, to be kept once it serves."""
    folder = work / "generation"
    host.make_directory(folder, PRIVATE_DIRECTORY)
    _write_json(host, folder / "manifest.json", Manifest.of(plan.tree).as_json())
    _write_json(host, folder / "inventory.json", plan.inventory.as_json())
    _write_json(host, folder / "meta.json", asdict(meta))
    if plan.inputs is not None:
        _write_json(host, folder / "inputs.json", plan.inputs.as_json())
    host.create(folder / "spec.yml", spec_text, PRIVATE_FILE)
    host.create(folder / "plan.txt", f"{plan_text}\n".encode(), PRIVATE_FILE)
    for file in plan.tree:
        if not file.is_table:
            _store(host, stored_path(folder, file.path), file.content)
    # One rename keeps it all: by then the names inside must be on disk as well.
    host.sync_tree(folder)


def stage_current(host: Host, work: PurePosixPath, number: int) -> None:
    """Write the file that will name `number` as the generation that serves, so that keeping it needs no space."""
    host.create(work / "current", f"{number}\n".encode(), PRIVATE_FILE)


def keep_generation(host: Host, target: Target, work: PurePosixPath, number: int) -> None:
    """Make `number` the current generation. Doing it again does no harm."""
    if host.stat(work / "generation") is not None:
        host.rename(work / "generation", generation_dir(target, number))
    if host.stat(work / "current") is not None:
        host.rename(work / "current", target.state_dir / "current")


def store_overwritten(host: Host, folder: PurePosixPath, files: Iterable[RenderedFile]) -> None:
    """Keep what somebody changed by hand and is about to lose."""
    for file in files:
        _store(host, folder / file.path.relative_to("/"), file.content)


def store_originals(host: Host, target: Target, plan: Plan) -> None:
    """Record as generation 0 what is at the paths this apply is the first to write.

    A path that was managed and given up is recorded anew. A crash in between does no harm: nothing was
    replaced yet, and the next apply records the same paths again.
    """
    folder = generation_dir(target, ORIGINALS)
    managed = read_manifest(host, target, plan.number).entries
    first = [file.path for file in plan.tree if not file.is_table and file.path not in managed]
    if not first:
        return
    entries = dict(read_original_manifest(host, target).entries)
    for path in first:
        found = plan.actual.files.get(path)
        entries[path] = Entry.of(found) if found else Entry(path, None)
        if found:
            copy = stored_path(folder, path)
            host.make_directory(copy.parent, PRIVATE_DIRECTORY)
            create_whole(host, copy, found.content, PRIVATE_FILE)
    host.make_directory(folder, PRIVATE_DIRECTORY)
    create_whole(host, folder / "manifest.json", _json(Manifest(entries).as_json()), PRIVATE_FILE)


def prune(host: Host, target: Target) -> None:
    """Remove all but the newest generations, and table directories that no kept one and no live file names."""
    _sweep(host, target)
    current = read_current(host, target)
    for number in read_numbers(host, target)[:-KEPT_GENERATIONS]:
        if number != current:
            _discard(host, generation_dir(target, number))
    used = {read_meta(host, target, number).tables for number in read_numbers(host, target)}
    live = live_tables_dir(host, target)
    for name in host.list_directory(target.generations_dir):
        if name not in used and (live is None or name != live.name):
            _discard(host, target.generations_dir / name)


def _discard(host: Host, path: PurePosixPath) -> None:
    """Take its name from a directory first: whoever dies while removing it must not leave half of a generation."""
    aside = path.with_name(f"{GONE}{path.name}")
    host.rename(path, aside)
    host.remove_tree(aside)


def _sweep(host: Host, target: Target) -> None:
    for folder in (history_dir(target), target.generations_dir):
        for name in host.list_directory(folder):
            if name.startswith(GONE):
                host.remove_tree(folder / name)


def next_number(host: Host, target: Target) -> int:
    """The number of the generation to come; numbers are not used twice."""
    return max(read_numbers(host, target), default=ORIGINALS) + 1


def prepare_state_dir(host: Host, target: Target) -> None:
    """Make the folders all of this lies in; lookup tables must be within reach of Postfix."""
    host.make_directory(target.generations_dir)
    for name in ("journal", "staging"):
        host.make_directory(target.state_dir / name, PRIVATE_DIRECTORY)
    host.make_directory(history_dir(target), PRIVATE_DIRECTORY)


def _store(host: Host, path: PurePosixPath, content: bytes) -> None:
    host.make_directory(path.parent, PRIVATE_DIRECTORY)
    host.create(path, content, PRIVATE_FILE)


def _write_json(host: Host, path: PurePosixPath, data: Mapping[str, Any]) -> None:
    host.create(path, _json(data), PRIVATE_FILE)


def _json(data: Mapping[str, Any]) -> bytes:
    # On one line: with line breaks it takes ten times as long, seconds where there are 100,000 addresses.
    return json.dumps(data, ensure_ascii=False).encode()
