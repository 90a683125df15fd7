"""What somebody changed by hand since the last apply, parameter by parameter, and the spec lines that would keep it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from mailctl.components.postfix.cf import main_parameters, master_services
from mailctl.components.postfix.escape import SPEC_KEYS
from mailctl.errors import printable
from mailctl.host import Host
from mailctl.plan.diff import diff_lines
from mailctl.plan.model import Change, Drift
from mailctl.plan.stored import generation_dir, stored_path
from mailctl.target import Target
from mailctl.tree import RenderedFile, Tree

MOST_LINES = 20
PARSERS = {"main.cf": main_parameters, "master.cf": master_services}
SECTIONS = {"main.cf": "main", "master.cf": "master"}


def list_drift(
    host: Host, target: Target, number: int | None, paths: Iterable[PurePosixPath], actual: Tree, desired: Tree
) -> Iterator[Drift]:
    """How the files at `paths` differ from what generation `number` holds.

    Lookup tables are not kept twice, so a changed one is compared with what is desired now.
    """
    tables = {file.name: file for file in desired if file.is_table}
    for path in paths:
        theirs = actual.files[path]
        if theirs.is_table:
            ours = tables.get(theirs.name)
        else:
            content = host.read(stored_path(generation_dir(target, number or 0), path))
            ours = None if content is None else RenderedFile(path, content)
        yield from _compare(path, ours, theirs)


def adoption(found: Iterable[Drift], settings: Mapping[str, str]) -> Iterator[str]:
    """Lines for the spec that keep what was changed; what no line keeps is a comment that says so.

    `settings` are those the spec has in `postfix.main` already: they may be changed there.
    """
    sections: dict[str, list[str]] = {"main": [], "master": []}
    for each in found:
        section = SECTIONS.get(each.path.name)
        if section and each.theirs is not None and _is_free(each, settings):
            value = each.theirs.replace("'", "''")
            sections[section].append(printable(f"    {each.name}: '{value}'"))
        elif section and each.name in SPEC_KEYS:
            yield f"# {each.name}: set {SPEC_KEYS[each.name]} instead"
        else:
            yield f"# no line of the spec keeps this in {each.path}: {each}"
    if any(sections.values()):
        yield "postfix:"
    for section, lines in sections.items():
        yield from [f"  {section}:", *lines] if lines else []


def _is_free(drift: Drift, settings: Mapping[str, str]) -> bool:
    """Whether `postfix:` of the spec takes it: what mailctl itself renders is decided elsewhere."""
    return drift.name in settings or (drift.ours is None and drift.name not in SPEC_KEYS)


def _compare(path: PurePosixPath, ours: RenderedFile | None, theirs: RenderedFile) -> Iterator[Drift]:
    if ours is None or theirs.is_secret:
        yield Drift(path, "", text="its content was changed")
        return
    pairs = _pairs(ours), _pairs(theirs)
    if pairs[0] == pairs[1]:
        lines = [line for line in diff_lines(Change(ours, theirs)) if not line.startswith(("@@", " "))]
        yield from (Drift(path, "", text=line) for line in lines[:MOST_LINES] or ["the order of its lines"])
        return
    before, after = pairs
    for name in sorted({**before, **after}):
        if before.get(name) != after.get(name):
            yield Drift(path, name, before.get(name), after.get(name))


def _pairs(file: RenderedFile) -> Mapping[str, str]:
    """What the file sets, by name; nothing where it is another kind of file."""
    text = file.content.decode(errors="backslashreplace")
    if file.is_table:
        rows = (line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
        return {row[0]: row[-1].strip() for row in rows}
    parse = PARSERS.get(file.path.name)
    return parse(text) if parse else {}
