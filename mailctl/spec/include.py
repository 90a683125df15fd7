"""One spec from several files: YAML fragments, tables of mailboxes, overrides of a host."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailctl.errors import Origin, Problem
from mailctl.spec.fleet import fleet_problems
from mailctl.spec.foreign import KNOWN_KEYS, is_foreign
from mailctl.spec.hints import did_you_mean
from mailctl.spec.nodes import (
    LARGEST_SPEC,
    MOST_VALUES,
    ListNode,
    MappingNode,
    SourceFile,
    UnreadableFileError,
    expand,
    read_source,
)
from mailctl.spec.source import read_yaml
from mailctl.spec.table import COLUMNS, Table, TableFile
from mailctl.spec.values.domains import parse_domain

YAML_SUFFIXES = (".yml", ".yaml")
TABLE_SUFFIX = ".csv"
TOO_LARGE = f"with this file the spec is larger than {LARGEST_SPEC >> 20} MiB"


@dataclass
class SpecFiles:
    """The files of one spec merged into one mapping, before anything is typed; `root` is None where nothing is left."""

    root: MappingNode | None = None
    files: dict[str, SourceFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def characters(self) -> int:
        return sum(len(source.text) for source in self.files.values())

    @property
    def values(self) -> int:
        """Keys and values, those of lists and mappings included."""
        return sum(len(source.marks) for source in self.files.values())


def read_spec_files(path: Path) -> SpecFiles:
    """The spec at `path` with all it includes; never raises for what the files hold."""
    found = SpecFiles()
    found.root = _read_fragment(found, path, None)
    if found.root is not None:
        tables = []
        for file, origin in _included(found, path):
            if str(file) in found.files:
                found.problems.append(Problem(origin, "include", f"{str(file)!r} is the spec itself"))
            elif file.suffix == TABLE_SUFFIX:
                tables.append((file, origin))
            else:
                _include_fragment(found, found.root, file, origin)
        for file, origin in tables:
            _include_table(found, found.root, file, origin)
        found.problems += fleet_problems(found.root)
    return found


def _read(found: SpecFiles, path: Path, included_at: Origin | None) -> SourceFile | None:
    try:
        source = read_source(path)
        if found.characters + len(source.text) > LARGEST_SPEC:
            raise UnreadableFileError(Problem(Origin(str(path)), "", TOO_LARGE))
        return source
    except UnreadableFileError as error:
        problem = error.problem
        if included_at is not None and not problem.origin.line:
            problem = replace(problem, origin=included_at, path="include", message=f"{str(path)!r}: {problem.message}")
        found.problems.append(problem)
        return None


def _read_fragment(found: SpecFiles, path: Path, included_at: Origin | None) -> MappingNode | None:
    source = _read(found, path, included_at)
    if source is None:
        return None
    found.files[source.name] = source
    root, problems = read_yaml(source, MOST_VALUES - found.values)
    source.is_foreign = is_foreign(source, root)
    if source.is_foreign and root:
        # What else is wrong with it would quote it.
        problems, root = [_no_spec(source, included_at)], None
    found.problems += problems
    return root


def _no_spec(source: SourceFile, included_at: Origin | None) -> Problem:
    hint = f"keys of a spec: {', '.join(KNOWN_KEYS)}"
    if included_at is None:
        return Problem(Origin(source.name), "", "holds no key of a spec", hint)
    return Problem(included_at, "include", f"{source.name!r} holds no key of a spec", hint)


def _included(found: SpecFiles, spec: Path) -> Iterator[tuple[Path, Origin]]:
    """Each included file once, in the order of the patterns, with the place of its pattern."""
    patterns = found.root.get("include") if found.root else None
    if not isinstance(patterns, ListNode):
        return
    seen: set[Path] = set()
    for index, pattern in enumerate(patterns):
        origin = patterns.item_origin(index)
        if not isinstance(pattern, str):
            continue  # the model says so
        if ".." in Path(pattern).parts:
            message = f"{pattern!r} climbs with '..'; write an absolute path"
            found.problems.append(Problem(origin, "include", message))
            continue
        if Path(pattern).suffix not in (*YAML_SUFFIXES, TABLE_SUFFIX):
            message = f"{pattern!r} does not end in .yml, .yaml or .csv"
            found.problems.append(
                Problem(origin, "include", message, "passwords are read by {file: ...} where they belong")
            )
            continue
        names = expand(pattern, spec.parent)
        if not names and not glob.has_magic(pattern):
            found.problems.append(
                Problem(origin, "include", f"no file is named {pattern!r}", _similar_file(spec, pattern))
            )
        for name in names:
            file = spec.parent / name
            if file not in seen:
                seen.add(file)
                yield file, origin


def _similar_file(spec: Path, name: str) -> str:
    folder = (spec.parent / name).parent
    try:
        names = [each.name for each in folder.iterdir()]
    except OSError:
        names = []
    return did_you_mean(Path(name).name, names) or f"looked in {folder}"


def _include_fragment(found: SpecFiles, root: MappingNode, file: Path, included_at: Origin) -> None:
    fragment = _read_fragment(found, file, included_at)
    if fragment is None:
        return
    for key in ("include", "hosts"):
        if key in fragment:
            message = f"an included file cannot hold {key!r}"
            found.problems.append(Problem(fragment.key_origin(key), key, message, "move it to the spec itself"))
            del fragment[key]
    found.problems += merge(root, fragment, ())


def merge(target: MappingNode, other: MappingNode, path: tuple[str, ...]) -> Iterator[Problem]:
    """Add the keys of `other` to `target`; yields a problem for each that is there already."""
    for key, value in other.items():
        present = target.get(key)
        if present is None:
            target.adopt(key, other)
        elif isinstance(present, MappingNode) and isinstance(value, MappingNode):
            yield from merge(present, value, (*path, key))
        else:
            first = target.key_origin(key)
            dotted = ".".join((*path, key))
            yield Problem(other.key_origin(key), dotted, "written in two files", f"first written at {first}")


def _include_table(found: SpecFiles, root: MappingNode, file: Path, included_at: Origin) -> None:
    source = _read(found, file, included_at)
    if source is None:
        return
    table_file = TableFile(source.path, source.text)
    found.files[source.name] = table_file
    table_file.is_foreign = is_foreign(table_file, None)
    if table_file.is_foreign:
        message = f"{source.name!r} holds no column of a table of mailboxes"
        found.problems.append(Problem(included_at, "include", message, f"columns: {', '.join(COLUMNS)}"))
        return
    table = Table(table_file, MOST_VALUES - found.values)
    found.problems += table.problems
    domains = root.get("domains")
    hosted = _hosted_domains(domains) if isinstance(domains, MappingNode) else {}
    for domain, mailboxes in table.mailboxes.items():
        written = hosted.get(_folded_domain(domain))
        origin = mailboxes.key_origin(next(iter(mailboxes)))
        if written is None or not isinstance(domains, MappingNode):
            hint = did_you_mean(domain, hosted) or "name it under domains; a table adds mailboxes only"
            found.problems.append(Problem(origin, "", f"{domain!r} is not a hosted domain", hint))
            continue
        if not isinstance(domains[written], MappingNode):
            continue  # the model says so
        found.problems += _take_out_repeated(mailboxes, domains[written], written)
        start = len(table_file.marks)
        table_file.marks.extend([mailboxes.source.marks[mailboxes.start]] * 2)
        fragment = MappingNode({"mailboxes": mailboxes}, table_file, start)
        found.problems += merge(domains[written], fragment, ("domains", written))


def _take_out_repeated(mailboxes: MappingNode, record: MappingNode, domain: str) -> Iterator[Problem]:
    """A mailbox stands in one row, or in the spec: two halves of it are not put together."""
    present = record.get("mailboxes")
    if not isinstance(present, MappingNode):
        return
    for name in list(mailboxes):
        if name in present:
            message = f"the mailbox '{name}@{domain}' stands at {present.key_origin(name)} already"
            yield Problem(mailboxes.key_origin(name), "", message, "remove one of them")
            del mailboxes[name]


def _hosted_domains(domains: MappingNode) -> dict[str, str]:
    return {_folded_domain(key): key for key in domains}


def _folded_domain(domain: str) -> str:
    try:
        return parse_domain(domain)
    except ValueError:
        return domain
