"""No shell anywhere: what runs other programs takes lists of words, and stands in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mailctl

PACKAGE = Path(mailctl.__file__).parent
RUNS_PROGRAMS = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "subprocess.", "pty.spawn")
ALLOWED = {"host.py"}


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path.relative_to(PACKAGE), node, ast.unparse(node.func)


def test_programs_run_from_one_module() -> None:
    found = {str(path) for path, _, name in calls() if name.startswith(RUNS_PROGRAMS)}
    assert found == ALLOWED


def test_nothing_asks_for_a_shell() -> None:
    words = [keyword.arg for _, node, _ in calls() for keyword in node.keywords]
    assert len(words) > 100
    assert "shell" not in words


def test_no_program_is_named_by_a_shell() -> None:
    """Not even as a list: `sh -c TEXT` is a shell too."""
    shells = {"sh", "bash", "dash", "/bin/sh", "/bin/bash", "env"}
    lists = [
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List | ast.Tuple)
    ]
    firsts = [
        (each.elts[0].value, each.lineno) for each in lists if each.elts and isinstance(each.elts[0], ast.Constant)
    ]
    programs = {"postconf", "openssl"}
    assert programs <= {first for first, _ in firsts}
    assert [first for first in firsts if first[0] in shells] == []
