"""Building the indexed tables, and proof that they say what the spec says.

postmap drops a line it cannot read and exits 0, so every key is looked up again and compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from mailctl.components.postfix.table import Table, TableKind
from mailctl.components.postfix.tables import all_tables
from mailctl.errors import Origin, Problem
from mailctl.host import Completed, Host
from mailctl.spec.model import Spec
from mailctl.target import TableType, Target
from mailctl.tree import Tree

LONGEST_BUILD = 300.0  # seconds; 100,000 rows need under one
SHOWN_KEYS = 3
SUFFIXES = {TableType.CDB: ".cdb", TableType.LMDB: ".lmdb", TableType.HASH: ".db"}


def build(host: Host, spec: Spec, target: Target, tree: Tree) -> list[Problem]:
    """Index the tables whose sources `tree` holds, in the directory where they lie; one that is right is left alone."""
    sources = {file.path.name: file.path for file in tree if file.is_table}
    tables = (table for table in all_tables(spec) if table.name in sources)
    return [problem for table in tables for problem in _build_table(host, target, table, sources[table.name])]


def _build_table(host: Host, target: Target, table: Table, path: PurePosixPath) -> list[Problem]:
    name = f"{table.table_type(target)}:{host.path(path)}"
    if not table.is_indexed:
        return _complaints(path, _look_up(host, name, ["x"]))
    if _is_built(host, target, path) and not _differences(host, name, table, path):
        return []
    program = "postalias" if table.kind is TableKind.ALIASES else "postmap"
    built = host.run([program, name], timeout=LONGEST_BUILD)
    return _complaints(path, built) or _differences(host, name, table, path)


def _is_built(host: Host, target: Target, path: PurePosixPath) -> bool:
    # Asked first: a Postfix program that ends in a fatal error sleeps for a second before.
    return host.stat(path.with_name(path.name + SUFFIXES[target.table_type])) is not None


def _differences(host: Host, name: str, table: Table, path: PurePosixPath) -> list[Problem]:
    wanted = dict(table.rows)
    # A table without rows answers nothing, but must be there to be asked.
    done = _look_up(host, name, wanted or ["x"])
    complaints = _complaints(path, done)
    return complaints or _compare(path, wanted, dict(_answers(done)))


def _look_up(host: Host, name: str, keys: Iterable[str]) -> Completed:
    return host.run(
        ["postmap", "-q", "-", name], stdin="".join(f"{key}\n" for key in keys).encode(), timeout=LONGEST_BUILD
    )


def _answers(done: Completed) -> Iterable[tuple[str, str]]:
    for line in done.stdout.decode().splitlines():
        key, _, value = line.partition("\t")
        yield key, value


def _compare(path: PurePosixPath, wanted: Mapping[str, str], found: Mapping[str, str]) -> list[Problem]:
    wrong = [key for key, value in wanted.items() if found.get(key) != value]
    if not wrong:
        return []
    shown = ", ".join(map(repr, wrong[:SHOWN_KEYS])) + (" ..." if len(wrong) > SHOWN_KEYS else "")
    message = f"{len(wrong)} of {len(wanted)} keys are not found as the spec says: {shown}"
    return [Problem(Origin(str(path)), path.name, message, hint="is the disk full?")]


def _complaints(path: PurePosixPath, done: Completed) -> list[Problem]:
    """Any word on stderr is a failure; exit status 1 alone means that no key was found."""
    lines = done.stderr.decode(errors="replace").splitlines()
    return [Problem(Origin(str(path)), path.name, line) for line in lines]
