"""Types of lookup tables: which ones Postfix knows depends on the packages that are installed."""

from __future__ import annotations

import re

from mailctl.components.postfix.table import TABLES_PARAMETER
from mailctl.errors import Origin, Problem
from mailctl.host import Host
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

FILES = (DEBIAN_12.postfix_dir / "main.cf", DEBIAN_12.postfix_dir / "master.cf")
_REFERENCE = re.compile(rf"(\w+):\${TABLES_PARAMETER}/")


def missing(host: Host, tree: Tree) -> list[Problem]:
    """The table types that Postfix files of `tree` name and Postfix does not offer: all mail would wait for them."""
    text = "".join(tree.files[path].content.decode() for path in FILES if path in tree.files)
    named = sorted(set(_REFERENCE.findall(text)))
    if not named or host.find_program("postconf") is None:
        return []
    offered = host.run(["postconf", "-m"], timeout=10).stdout.decode().split()
    return [_problem(each) for each in named if each not in offered]


def _problem(table_type: str) -> Problem:
    message = f"it has no table type {table_type!r}, and its tables are of that type"
    return Problem(Origin("Postfix"), "", message, f"apt-get install postfix-{table_type}")
