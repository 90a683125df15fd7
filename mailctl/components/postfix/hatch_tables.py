"""Lookup tables the escape hatch names: their types must be offered, their files must be there.

Postfix opens a table when mail comes; one that is missing then means 451 for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from mailctl.components.postfix.restrictions import TAKE_TABLE
from mailctl.components.postfix.settings import HatchSetting, hatch_settings, split_list
from mailctl.errors import Problem
from mailctl.host import Host
from mailctl.spec.model import Spec

# What Postfix opens instead of the file named; source: DATABASE_README.
INDEXES = {"btree": ".db", "cdb": ".cdb", "dbm": ".pag", "hash": ".db", "lmdb": ".lmdb", "sdbm": ".pag"}
READ_AS_THEY_ARE = frozenset({"cidr", "ldap", "memcache", "mysql", "pcre", "pgsql", "regexp", "sqlite", "texthash"})
FILE_TYPES = READ_AS_THEY_ARE.union(INDEXES)

_FILE = re.compile(rf"(?<![\w.$/-])({'|'.join(sorted(FILE_TYPES))}):(/[^\s,{{}}]+)")
_LOOKED_UP = re.compile(r"\w+_(?:maps|checks|map)")
_TYPE = re.compile(r"(?:proxy:)?(\w+):")


def hatch_table_problems(host: Host, spec: Spec) -> Iterator[Problem]:
    """What is wrong with the tables that values of `postfix:` name."""
    settings = hatch_settings(spec)
    if not settings:
        return
    offered = host.run(["postconf", "-m"]).stdout.decode().split()
    for setting in settings:
        yield from _type_problems(setting, offered)
        yield from _file_problems(host, setting)


def _type_problems(setting: HatchSetting, offered: Collection[str]) -> Iterator[Problem]:
    for name in _table_names(setting):
        found = _TYPE.match(name)
        if found and found[1] not in offered:
            package = f"apt-get install postfix-{found[1]}" if found[1] in FILE_TYPES else "`postconf -m` lists them"
            yield setting.value_problem(f"Postfix has no table type {found[1]!r}", package)


def _table_names(setting: HatchSetting) -> Iterator[str]:
    items = split_list(setting.value)
    if _LOOKED_UP.fullmatch(setting.name):
        yield from items
    for word, argument in pairwise(items):
        if word in TAKE_TABLE:
            yield argument


def _file_problems(host: Host, setting: HatchSetting) -> Iterator[Problem]:
    for kind, path in _FILE.findall(setting.value):
        file = PurePosixPath(path + INDEXES.get(kind, ""))
        if "$" not in path and host.stat(file) is None:
            hint = f"make it with `postmap {kind}:{path}`" if kind in INDEXES else "write it before it is named here"
            yield setting.value_problem(f"there is no file {file}", hint)
