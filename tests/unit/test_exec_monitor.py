"""No shell anywhere: what runs other programs takes lists of words, and stands in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mailctl

PACKAGE = Path(mailctl.__file__).parent
RUNS_PROGRAMS = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "subprocess.", "pty.spawn")
ALLOWED = {"host/programs.py"}


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


def test_no_list_of_words_is_a_shell_with_a_command() -> None:
    lists = [
        [item.value for item in node.elts if isinstance(item, ast.Constant)]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List | ast.Tuple)
    ]
    assert any(words[:1] == ["postconf"] for words in lists)
    assert [words for words in lists if "-c" in words and {"sh", "bash", "dash", "/bin/sh", "env"} & set(words)] == []
